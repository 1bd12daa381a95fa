"""Failures that a test orders: at which call, and what happens there."""

from __future__ import annotations

import fnmatch
import threading
from dataclasses import dataclass, field

KINDS = frozenset({"drop", "drop after", "slow", "slow inside", "expire", "kill", "refuse"})


@dataclass
class Fault:
    """One failure.

    Attributes:
        kind: "drop" closes the connection before the call is carried out, "drop after" once it is and before the
            answer; "slow" waits before the call, "slow inside" during it; "expire" and "kill" end the session; "refuse"
            answers a write with a SecurityViolation.
        at: Which of the calls that match, counted from 1 since the fault was ordered.
        operation: Pattern of names such as `RawPixelsStore.get*`.
        seconds: How long "slow" waits.
        times: At how many calls in a row.
        seen: Calls that matched so far.
    """

    kind: str
    at: int = 1
    operation: str = "*"
    seconds: float = 0.0
    times: int = 1
    seen: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}")

    def strikes(self, operation: str) -> bool:
        """Counts the call; whether it is one that has to fail."""
        if not fnmatch.fnmatchcase(operation, self.operation):
            return False
        self.seen += 1
        return self.at <= self.seen < self.at + self.times


class Faults:
    """The failures that are ordered at present."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ordered: list[Fault] = []

    def order(self, fault: Fault) -> None:
        """Adds one."""
        with self._lock:
            self._ordered.append(fault)

    def clear(self) -> None:
        """Forgets all."""
        with self._lock:
            self._ordered.clear()

    def at(self, operation: str) -> list[Fault]:
        """The failures for this call."""
        with self._lock:
            return [fault for fault in self._ordered if fault.strikes(operation)]
