"""How a pipeline tells what it does and learns that it should stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Reporter(Protocol):
    """Receives progress; `check` is called at least once per tile and raises when the job should stop."""

    def stage(self, name: str) -> None:
        """A new stage begins (`read`, `predict`, `decode`, ...)."""
        ...

    def progress(self, done: float, total: float, unit: str) -> None:
        """Work done in the current stage, e.g. (3, 12, 'tile')."""
        ...

    def log(self, message: str, level: str = "info") -> None: ...

    def metric(self, name: str, value: float) -> None: ...

    def check(self) -> None:
        """Raises JobCancelled (or another NoyauError) when the work must stop now."""
        ...


class UnitLedger(Protocol):
    """Durable record of finished write units of one job, so that a restarted job skips them."""

    def finished(self, stage: str) -> Mapping[str, Mapping[str, Any]]:
        """Units of the stage that are done, with the small JSON payload each was marked with."""
        ...

    def mark(self, stage: str, unit: str, payload: Mapping[str, Any] | None = None) -> None:
        """Records a unit as done, after its data is safely stored.

        Raises:
            JobCancelled: the lease was lost (fencing); the caller must stop without writing more.
        """
        ...


class SilentReporter:
    """A Reporter that ignores everything, for libraries and tests."""

    def stage(self, name: str) -> None: ...

    def progress(self, done: float, total: float, unit: str) -> None: ...

    def log(self, message: str, level: str = "info") -> None: ...

    def metric(self, name: str, value: float) -> None: ...

    def check(self) -> None: ...


class MemoryLedger:
    """A UnitLedger that forgets when the process ends, for libraries and tests."""

    def __init__(self) -> None:
        self._units: dict[str, dict[str, Mapping[str, Any]]] = {}

    def finished(self, stage: str) -> Mapping[str, Mapping[str, Any]]:
        return dict(self._units.get(stage, {}))

    def mark(self, stage: str, unit: str, payload: Mapping[str, Any] | None = None) -> None:
        self._units.setdefault(stage, {})[unit] = dict(payload or {})
