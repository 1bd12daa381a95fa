"""What clients used: a file of operations and queries for the reviewer, and the list of what this server did not know.

An operation, entity, function or kind of command that is not simulated is answered with an error, and kept here,
because clients often swallow errors: the tests ask for the list after every test and fail if it is not empty.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path


class Ledger:
    """Collects from all threads.

    Args:
        path: Text file to keep, one line for each operation and each query, sorted; None keeps none.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._lines: set[str] = set(path.read_text().splitlines()) if path is not None and path.is_file() else set()
        self._violations: list[str] = []
        self._calls: list[str] = []

    def operation(self, name: str) -> None:
        """Notes `Interface.operation`."""
        with self._lock:
            self._calls.append(name)
        self._note(f"api {name}")

    def query(self, text: str) -> None:
        """Notes a query, with one space between words and without numbers, which differ from run to run."""
        self._note("hql " + re.sub(r"\b\d+\b", "#", " ".join(text.split())))

    def violation(self, text: str) -> None:
        """Notes something that this server does not know."""
        with self._lock:
            self._violations.append(text)

    def take_violations(self) -> list[str]:
        """What was not known since the last time."""
        with self._lock:
            found, self._violations = self._violations, []
            return found

    def take_calls(self) -> list[str]:
        """The operations since the last time, in order."""
        with self._lock:
            found, self._calls = self._calls, []
            return found

    def _note(self, line: str) -> None:
        with self._lock:
            if line in self._lines:
                return
            self._lines.add(line)
            if self._path is not None:
                beside = self._path.with_suffix(".part")
                beside.write_text("\n".join(sorted(self._lines)) + "\n")
                beside.replace(self._path)
