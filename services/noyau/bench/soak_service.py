"""A service for the soak: started, killed, started again, and weighed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from noyau.client import Client
from noyau.domain.errors import InternalError

START_SECONDS = 600.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Weight:
    """Resident memory of one process.

    Attributes:
        role: `coordinator` or `worker`.
        pid: the process.
        jobs: jobs that had ended when it was weighed.
        mebibytes: resident memory.
    """

    role: str
    pid: int
    jobs: int
    mebibytes: float


class SoakService:
    """`noyau serve` on a socket in a folder; what it says goes into `log` there.

    Args:
        folder: its state, its socket and its log; images and results lie below it too.
        workers: worker processes.
    """

    def __init__(self, folder: Path, workers: int) -> None:
        self._folder = folder
        self.address = f"unix:{folder / 's.sock'}"
        self._command = [sys.executable, "-m", "noyau.cli", "serve", "--address", self.address]
        self._command += ["--state-dir", str(folder / "state"), "--root", str(folder), "--workers", str(workers)]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def scratch(self) -> Path:
        """Where jobs that have not ended keep their files."""
        return self._folder / "state" / "work"

    def start(self, check: Callable[[], None]) -> None:
        """Starts it and waits until it takes calls.

        Raises:
            InternalError: it ends or does not come up.
        """
        log = self._folder / "log"
        before = log.stat().st_size if log.exists() else 0
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NOYAU_")}
        # One thread each: the jobs are small, and so every process has the same work in every run.
        environment = {**kept, "OMP_NUM_THREADS": "1", "NOYAU_JOBS__THREADS": "1", "NOYAU_LOG__LEVEL": "warning"}
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
            )
        deadline = time.monotonic() + START_SECONDS
        while b"Noyau listens on" not in log.read_bytes()[before:]:
            check()
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise InternalError(f"The service does not start; {log} says why.")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Ends it in an orderly way."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def client(self) -> Client:
        return Client(self.address, timeout=60)

    def kill(self, chance: random.Random, check: Callable[[], None]) -> str:
        """kill -9 of the coordinator (one time in three), which is started again, or of one of its workers.

        Returns:
            what was killed.
        """
        workers = self.workers()
        if workers and chance.random() < 2 / 3:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(workers), signal.SIGKILL)
            return "worker"
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self.start(check)
        return "coordinator"

    def workers(self) -> list[int]:
        """Process ids of the job workers."""
        return [pid for pid in self._children() if b"noyau.jobs.worker" in _read(f"/proc/{pid}/cmdline")]

    def weigh(self, jobs: int) -> list[Weight]:
        """The memory of the coordinator and of its workers now."""
        if self._process is None:
            return []
        found = [Weight("coordinator", self._process.pid, jobs, _resident(self._process.pid))]
        found += [Weight("worker", pid, jobs, _resident(pid)) for pid in self.workers()]
        return [weight for weight in found if weight.mebibytes]

    def _children(self) -> list[int]:
        if self._process is None:
            return []
        found: list[int] = []
        for path in Path(f"/proc/{self._process.pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(text) for text in path.read_text().split()]
        return found


def _resident(pid: int) -> float:
    """Mebibytes of resident memory (proc(5)); 0 for a process that is gone."""
    for line in _read(f"/proc/{pid}/status").splitlines():
        if line.startswith(b"VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
