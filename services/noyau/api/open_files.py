"""Every connection is an open file, and many systems let a process open only 1,024 unless it asks for more."""

from __future__ import annotations

import resource

MOST = 65_536


def allow_many() -> int:
    """Raises the process's own limit as far as the system lets it, up to `MOST`, and returns it. Never lowers it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(MOST, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
