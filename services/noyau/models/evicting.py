"""Room in a folder of local copies: the least recently used go first, whichever process uses the folder.

A copy is in use for as long as somebody reads it, which nobody else can see. So every use sets its time, and one that
was used in the last minutes stays, even where the folder is then larger than it should be. Looking and taking away
happen under a lock, so that no copy goes between the moment it is asked for and the moment its time is set.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

IN_USE_SECONDS = 600.0
"""Loading a network takes seconds, from the slowest disk perhaps a minute."""


def mark_used(root: Path, folder: Path) -> bool:
    """Sets the time of a copy; False where there is none."""
    with _lock(root):
        try:
            os.utime(folder)
        except FileNotFoundError:
            return False
        return True


def make_room(root: Path, most: int, needed: int) -> None:
    """Removes copies until `needed` bytes more fit into `most`, or none is left that may go.

    Args:
        root: the folder with the copies, one folder each; names that begin with a dot are none.
        most: bytes that the copies may take.
        needed: bytes of the copy that comes next.
    """
    with _lock(root):
        hidden = list(_taken_away(root, most - needed))
    for folder in hidden:
        # What cannot be removed now is a partial folder, which a later fetch removes.
        shutil.rmtree(folder, ignore_errors=True)


def _taken_away(root: Path, room: int) -> Iterator[Path]:
    """Hides copies, oldest first, so that nobody finds half of one."""
    found = sorted(_copies(root))
    total = sum(size for _, size, _ in found)
    recent = time.time() - IN_USE_SECONDS
    for used, size, folder in found:
        if total <= room or used > recent:
            return
        hidden = folder.with_name(f".{folder.name}.{uuid4().hex}.partial")
        with suppress(OSError):
            folder.rename(hidden)
            total -= size
            yield hidden


def _copies(root: Path) -> Iterator[tuple[float, int, Path]]:
    """When each copy was used, its bytes, and where it is."""
    for folder in root.iterdir():
        if not folder.name.startswith(".") and folder.is_dir() and not folder.is_symlink():
            with suppress(OSError):  # somebody else may clean up at the same time
                size = sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
                yield folder.stat().st_mtime, size, folder


@contextmanager
def _lock(root: Path) -> Iterator[None]:
    """Only one process or thread at a time; the kernel frees it when its holder dies (flock(2))."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
