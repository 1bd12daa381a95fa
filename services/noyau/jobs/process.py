"""One worker process as its supervisor sees it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

from noyau.jobs.config import WorkerConfig
from noyau.jobs.identity import ProcessIdentity
from noyau.jobs.runner import EXIT_LEASE_LOST
from noyau.jobs.worker import DRAIN

_STDERR = 2


class WorkerProcess:
    """A started worker. Must be started from a thread that outlives it (PR_SET_PDEATHSIG watches that thread)."""

    def __init__(self, config: WorkerConfig) -> None:
        # Standard output belongs to the caller's results (`--json`), so what libraries print goes to the log. -P: the
        # folder that the service happens to run in is no place to import from.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "noyau.jobs.worker"],
            stdin=subprocess.PIPE,
            stdout=_STDERR,
            # Away from the terminal's process group: Ctrl-C is for the supervisor.
            start_new_session=True,
        )
        self.identity = str(ProcessIdentity.of(self._process.pid))
        self.began = time.monotonic()
        self._send(config.to_json())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; minus the signal's number where one killed it."""
        status = self._process.poll()
        if status is not None and self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        return status

    @property
    def is_stopped(self) -> bool:
        """True where a signal or a debugger has stopped it, so that it cannot go on by itself (proc(5))."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] in ("T", "t")

    def drain(self) -> None:
        """Asks it to end after its current job."""
        self._send(DRAIN)

    def kill(self) -> None:
        """Ends it at once and waits until it is gone, so that it can write nothing more."""
        self._process.kill()
        self._process.wait()

    def _send(self, line: str) -> None:
        if self._process.stdin is None or self._process.stdin.closed:
            return
        # A worker that died is found by its exit status.
        with contextlib.suppress(OSError):
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()


def describe_death(status: int) -> str:
    """Start of a sentence about an exit status, for the events of the job that the worker ran."""
    if status == -signal.SIGKILL:
        return "Its worker was killed (signal 9; possibly out of memory)"
    if status < 0:
        return f"Its worker was killed (signal {-status})"
    if status == EXIT_LEASE_LOST:
        return "Its worker could not reach the job database for too long"
    return f"Its worker ended unexpectedly (exit status {status})"
