"""For processes that are started by another one of ours: their first line of input, and their end with the parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def read_first_line() -> str:
    """The first line of standard input, byte by byte.

    Not through `sys.stdin`: a thread that waits in its buffer would keep the interpreter from shutting down.
    """
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            raise SystemExit("This program is started by the Noyau service, not by hand.")
        line += byte
    return line.decode()


def die_with_parent() -> None:
    """Asks Linux to kill this process when the thread that started it ends (prctl(2)).

    A pipe alone would not do: its thread cannot run while native code keeps Python's global lock.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
