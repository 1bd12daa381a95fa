"""A job's Reporter: events into the store, but not one row per tile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from noyau.domain.errors import JobCancelled
from noyau.domain.jobs import EventKind
from noyau.domain.meters import USE

_SHORTEST_SECONDS = 0.25
_LONGEST_SECONDS = 5.0
_STEPS = 400
_MOST_MESSAGES = 1000
_LONGEST_MESSAGE = 2000

Append = Callable[[EventKind, Mapping[str, Any]], None]


class StoreReporter:
    """A `noyau.domain.progress.Reporter`; safe to use from several threads.

    Progress is thinned: at most four rows a second in the beginning of a stage and fewer the longer it takes, down to
    one in five seconds, so that a stage of any length costs a bounded number of rows. The newest progress is kept and
    written by `flush`, which the heartbeat calls, or before the next event of another kind.

    Args:
        append: writes one event.
        cancelled: set when the job should stop.
        stage_begins: told of every stage.
    """

    def __init__(
        self, append: Append, cancelled: threading.Event, stage_begins: Callable[[str], None] = lambda name: None
    ) -> None:
        self._stage_begins = stage_begins
        self._append = append
        self._cancelled = cancelled
        self._lock = threading.Lock()
        self._stage = ""
        self._stage_began = time.monotonic()
        self._written = 0.0
        self._pending: dict[str, Any] | None = None
        self._messages = 0

    def stage(self, name: str) -> None:
        with self._lock:
            self._write_pending()
            self._stage, self._stage_began, self._written = name, time.monotonic(), 0.0
            self._append(EventKind.STAGE, {"name": name})
            self._stage_begins(name)

    def progress(self, done: float, total: float, unit: str) -> None:
        with self._lock:
            self._pending = {"stage": self._stage, "done": done, "total": total, "unit": unit}
            self._write_if_due()

    def log(self, message: str, level: str = "info") -> None:
        self._message(EventKind.LOG, {"level": level, "message": message[:_LONGEST_MESSAGE]})

    def metric(self, name: str, value: float) -> None:
        self._message(EventKind.METRIC, {"name": name, "value": float(value)})

    def check(self) -> None:
        """Raises JobCancelled when somebody asked to cancel the job."""
        if self._cancelled.is_set():
            raise JobCancelled("The job was cancelled.")

    def flush(self, *, force: bool = False) -> None:
        """Writes kept progress where it is due, or in any case with `force`."""
        with self._lock:
            if force:
                self._write_pending()
            else:
                self._write_if_due()

    def use(self, sums: Mapping[str, float]) -> None:
        """What the attempt has used, see `noyau.domain.meters`; at its end, and kept whatever was said before."""
        with self._lock:
            self._write_pending()
            for name, value in sorted(sums.items()):
                self._append(EventKind.METRIC, {"name": f"{USE}{name}", "value": value})

    def _message(self, kind: EventKind, payload: Mapping[str, Any]) -> None:
        with self._lock:
            self._messages += 1
            if self._messages > _MOST_MESSAGES:
                return
            self._write_pending()
            if self._messages == _MOST_MESSAGES:
                kind, payload = EventKind.LOG, {"level": "warning", "message": "Further messages are not kept."}
            self._append(kind, payload)

    def _write_if_due(self) -> None:
        now = time.monotonic()
        pause = min(max((now - self._stage_began) / _STEPS, _SHORTEST_SECONDS), _LONGEST_SECONDS)
        if now - self._written >= pause:
            self._write_pending()

    def _write_pending(self) -> None:
        if self._pending is not None:
            payload, self._pending = self._pending, None
            self._append(EventKind.PROGRESS, payload)
            self._written = time.monotonic()
