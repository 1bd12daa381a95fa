"""The operations and queries that the product sends to OMERO, in a file that is part of the repository.

A change of the product that asks something new of the server changes the file, so that a reviewer sees it and can hold
it against what is known of real servers.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class ProductLedger:
    """Compares what was used with what is written down.

    Args:
        path: One line for each operation (`api Interface.operation`) and each query (`hql ...`), sorted.
        write: Whether new entries are added to the file instead of being reported.
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        self._path = path
        self._write = write
        self._known = self._written()
        self._new: set[str] = set()

    def note(self, lines: Iterable[str]) -> None:
        """Adds what was used."""
        self._new |= set(lines) - self._known

    def finish(self) -> list[str]:
        """What is not written down; nothing once it is."""
        if self._new and self._write:
            beside = self._path.with_suffix(".part")
            # Read again: several runs may be writing.
            beside.write_text("\n".join(sorted(self._written() | self._new)) + "\n", encoding="utf-8")
            beside.replace(self._path)
            return []
        return sorted(self._new)

    def _written(self) -> set[str]:
        return set(self._path.read_text(encoding="utf-8").splitlines()) if self._path.is_file() else set()
