"""Tries a write again while the database does not answer, as long as the lease can still be ours."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from noyau.domain.errors import Unavailable

Result = TypeVar("Result")
_PAUSE_SECONDS = 0.5


def patiently(write: Callable[[], Result], seconds: float) -> Result:
    """Calls `write` until it does not raise Unavailable; gives up `seconds` after the first try.

    The write must bear being repeated, because an answer may get lost after the database has done it.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return write()
        except Unavailable:
            if time.monotonic() + _PAUSE_SECONDS > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
