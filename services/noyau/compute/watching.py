"""How long the steps of each lane take: in figures, and as one span per lane in traces."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any

from noyau.compute.executor import Step, Task
from noyau.domain.observing import Scope, current

NAMES = MappingProxyType({"network": "infer"})
"""Lanes that have another name in figures and traces."""


@contextmanager
def watching(tasks: Sequence[Task]) -> Iterator[Sequence[Task]]:
    """The same tasks, with their steps timed until the exit, on account of the current scope.

    One span per step would be thousands, so there is one per lane, from its first step to the end of its last.
    """
    clocks = {lane: _Clock() for lane in {step.lane for task in tasks for step in task.steps}}
    try:
        yield [replace(task, steps=tuple(_timed(step, clocks[step.lane]) for step in task.steps)) for task in tasks]
    finally:
        for lane, clock in clocks.items():
            if clock.steps:
                clock.tell(NAMES.get(lane, lane), current())


@dataclass
class _Clock:
    """When the steps of one lane ran: nanoseconds since 1970, and seconds in all of them together."""

    first_ns: int = 0
    last_ns: int = 0
    busy: float = 0.0
    steps: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def time(self, call: Callable[[Any], Any], value: Any) -> Any:
        """Calls, and counts the time whether it succeeds or not."""
        began_ns, began = time.time_ns(), time.monotonic()
        try:
            return call(value)
        finally:
            with self._lock:
                self.first_ns = min(self.first_ns or began_ns, began_ns)
                self.last_ns = max(self.last_ns, time.time_ns())
                self.busy += time.monotonic() - began
                self.steps += 1

    def tell(self, name: str, scope: Scope) -> None:
        """Hands what was counted to whoever looks."""
        if scope.meter is not None:
            scope.meter.add(f"step/{name}", self.busy)
        facts = {"noyau.steps": self.steps, "noyau.busy_seconds": self.busy}
        scope.tracer.record(name, scope.trace, self.first_ns, self.last_ns, facts)


def _timed(step: Step, clock: _Clock) -> Step:
    return Step(step.lane, partial(clock.time, step.call))
