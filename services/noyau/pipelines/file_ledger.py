"""The finished units of one image in a file beside its scratch, for workers that do not see the job database."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any


class FileLedger:
    """A `UnitLedger` in a file of JSON lines. A line that was cut off by a crash does not count.

    Args:
        path: the file; made with the first unit.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()

    def finished(self, stage: str) -> Mapping[str, Mapping[str, Any]]:
        """Units of the stage that are done, with their payloads."""
        try:
            lines = self._path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return {}
        found: dict[str, Mapping[str, Any]] = {}
        for line in lines:
            try:
                of, unit, payload = json.loads(line)
            except ValueError:
                continue  # the end of a line that a crash cut off, and the next one
            if of == stage:
                found[unit] = payload
        return found

    def mark(self, stage: str, unit: str, payload: Mapping[str, Any] | None = None) -> None:
        """Records a unit as done; it is on the disk when this returns."""
        # The newline in front ends a line that a crash cut off.
        line = b"\n" + json.dumps([stage, unit, dict(payload or {})]).encode() + b"\n"
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab", buffering=0) as file:
                file.write(line)
                os.fsync(file.fileno())
