"""Fencing for workers on other hosts, which do not see the job database: a file that names the current attempt.

A process that runs a job may be stopped for so long that another one takes the job over. The database refuses what the
first one records when it wakes; its orders may still be under way on workers. Each order names its attempt, and a
worker lets go of it once a later attempt has begun in the job's folder, or the folder is gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from noyau.domain.errors import JobCancelled

_PREFIX = "attempt-"
_LOOK_SECONDS = 0.5


def begin(folder: Path, attempt: int) -> None:
    """Makes an attempt the current one; earlier ones are over."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{_PREFIX}{attempt}").touch()


def end(folder: Path, attempt: int) -> None:
    """Ends an attempt before its job goes on or is tidied up elsewhere."""
    with suppress(OSError):
        (folder / f"{_PREFIX}{attempt}").unlink(missing_ok=True)


def is_current(folder: Path, attempt: int) -> bool:
    """Whether the attempt has begun, not ended, and no later one has begun."""
    try:
        found = [int(path.name.removeprefix(_PREFIX)) for path in folder.glob(f"{_PREFIX}*")]
    except (OSError, ValueError):
        return False
    return bool(found) and max(found) == attempt


def guarded(folder: Path, attempt: int, check: Callable[[], None]) -> Callable[[], None]:
    """A check that also raises JobCancelled when the attempt is over; it looks twice a second at most."""
    looked = 0.0

    def both() -> None:
        nonlocal looked
        check()
        if time.monotonic() - looked >= _LOOK_SECONDS:
            if not is_current(folder, attempt):
                raise JobCancelled("Another process has taken the job over, or it has ended.")
            looked = time.monotonic()

    return both
