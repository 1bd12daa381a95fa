"""What clients used, for the reviewer, and what of it this server did not know.

An operation, entity, function or kind of command that is not simulated is answered with an error, and kept here,
because clients often swallow errors: the tests ask for the list after every test and fail if it is not empty.
"""

from __future__ import annotations

import re
import threading


class Ledger:
    """Collects from all threads; whoever asks gets what came since the last time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: set[str] = set()
        self._calls: list[str] = []
        self._violations: list[str] = []

    def operation(self, name: str) -> None:
        """Notes a call of `Interface.operation`."""
        with self._lock:
            self._calls.append(name)
            self._used.add(f"api {name}")

    def query(self, text: str) -> None:
        """Notes a query, with one space between words and without numbers, which differ from run to run."""
        with self._lock:
            self._used.add("hql " + re.sub(r"\b\d+\b", "#", " ".join(text.split())))

    def violation(self, text: str) -> None:
        """Notes something that this server does not know."""
        with self._lock:
            self._violations.append(text)

    def take_used(self) -> list[str]:
        """Operations and queries, each once, sorted."""
        with self._lock:
            found, self._used = sorted(self._used), set()
            return found

    def take_calls(self) -> list[str]:
        """Operations in the order in which they came."""
        with self._lock:
            found, self._calls = self._calls, []
            return found

    def take_violations(self) -> list[str]:
        """What was not known."""
        with self._lock:
            found, self._violations = self._violations, []
            return found
