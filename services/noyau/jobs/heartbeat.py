"""The thread of a busy worker that renews its lease and hears of a cancel."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from typing import Self

from noyau.domain.errors import NoyauError
from noyau.jobs.lease import Lease, LeaseLost
from noyau.jobs.settings import JobTimes
from noyau.jobs.store import JobStore

_LOG = logging.getLogger(__name__)


class Heartbeat:
    """Renews a lease from `__enter__` to `__exit__`.

    A worker that has not reached the database for the length of its lease, by its own steady clock, must believe that
    the job has a new owner and stops as well. So nothing depends on the wall clocks of hosts, only on clocks that
    run about equally fast.

    Args:
        store: where the lease lives.
        lease: what to renew.
        times: periods.
        cancelled: set when the job should be cancelled.
        lost: called in the thread when the lease is gone; in a worker process it ends the process.
        every: called at each look, for kept progress.
    """

    def __init__(
        self,
        store: JobStore,
        lease: Lease,
        times: JobTimes,
        *,
        cancelled: threading.Event,
        lost: Callable[[], None],
        every: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._lease = lease
        self._times = times
        self._cancelled = cancelled
        self._lost = lost
        self._every = every
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        # With the caller's context, so that its lines in the log name the job as well.
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._run,), name="noyau-heartbeat", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        heard = renewed = time.monotonic()
        while not self._stop.wait(self._times.cancel_poll):
            began = time.monotonic()
            try:
                if began - renewed >= self._times.renew:
                    wanted = self._store.heartbeat(self._lease, self._times.lease)
                    heard = renewed = began
                else:
                    wanted = self._store.cancel_requested(self._lease)
                if wanted:
                    self._cancelled.set()
                self._every()
            except LeaseLost:
                if not self._stop.is_set():
                    self._lost()
                return
            except NoyauError as error:
                _LOG.warning("job %s: no heartbeat: %s", self._lease.job.id, error)
                if time.monotonic() - heard > self._times.lease:
                    self._lost()
                    return
