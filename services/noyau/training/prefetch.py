"""Batches made in the background, in the order of the steps."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from noyau.training.batches import Batch, BatchSource


class Prefetch:
    """Makes the batches that follow while one is trained on. Batches depend on their step only, never on this.

    Args:
        source: where batches come from.
        threads: how many batches are made at once.
    """

    def __init__(self, source: BatchSource, threads: int) -> None:
        self._source, self._ahead = source, threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="batch")
        self._waiting: dict[int, Future[Batch]] = {}

    def take(self, step: int) -> Batch:
        """The batch of a step. A step other than the next one (after a setback) only costs time."""
        for other in [known for known in self._waiting if not step <= known <= step + self._ahead]:
            self._waiting.pop(other).cancel()
        for wanted in range(step, step + self._ahead + 1):
            if wanted not in self._waiting:
                self._waiting[wanted] = self._pool.submit(self._source.batch, wanted)
        return self._waiting.pop(step).result()

    def restart(self, source: BatchSource) -> None:
        """Goes on with another source; what is waiting is dropped."""
        self._drop()
        self._source = source

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._drop()
        self._pool.shutdown(wait=True)

    def _drop(self) -> None:
        for future in self._waiting.values():
            future.cancel()
        self._waiting.clear()
