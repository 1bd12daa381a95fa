"""A server process that tests start, kill at random moments and start again.

It knows nothing of what the server does: any command that prints a line when it is ready will do, the toy server of
this folder as well as `noyau serve`.

    server = ServerProcess([sys.executable, "-m", "noyau", "serve", ...], ready="serving", log=tmp_path / "log")
    with server:
        submit(...)
        kill_at_random(server, kills=25, seed=1, pause=(0.1, 1.0), targets=("server", "worker"), until=all_final)
    assert tree_digest(labels) == tree_digest(labels_of_an_undisturbed_run)
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self


class ServerProcess:
    """A server that can be killed. Its output goes to a file; leaving the context kills it and its workers.

    Args:
        command: program and arguments.
        ready: text that it prints, on stdout or stderr, when it can be used.
        log: file for its output, appended over restarts.
        environment: variables on top of the test's own.
        python_path: a folder that it may import from, besides what the test may.
        timeout: seconds to wait for `ready`.
    """

    def __init__(
        self,
        command: Sequence[str],
        ready: str,
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        python_path: Path | None = None,
        timeout: float = 60.0,
    ) -> None:
        self._command = list(command)
        self._ready = ready
        self._log = log
        self._environment = {**os.environ, **(environment or {})}
        if python_path is not None:
            self._environment["PYTHONPATH"] = with_python_path(python_path)
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process.pid

    @property
    def output(self) -> str:
        """Everything it has printed, over all starts."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def start(self) -> None:
        """Starts it and waits until it is ready."""
        before = len(self.output)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
            )
        deadline = time.monotonic() + self._timeout
        while self._ready not in self.output[before:]:
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended with {self._process.returncode}:\n{self.output[before:]}")
            if time.monotonic() > deadline:
                self.kill()
                raise TimeoutError(f"the server was not ready in time:\n{self.output[before:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """kill -9, as a crash or the kernel's memory killer would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def terminate(self, timeout: float = 30.0) -> int:
        """SIGTERM, as an operator or a container engine would; returns the exit status."""
        if self._process is None:
            raise RuntimeError("the server does not run")
        self._process.terminate()
        status = self._process.wait(timeout)
        self._process = None
        return status

    def workers(self) -> list[int]:
        """Process ids of its job workers."""
        return [pid for pid in children_of(self.pid) if b"noyau.jobs.worker" in _command_line(pid)]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        workers = self.workers() if self._process is not None else []
        self.kill()
        # They end with their server; a test that follows must not meet them.
        wait_until(lambda: not any(_command_line(pid) for pid in workers), 10.0, "the workers outlive their server")


def kill_at_random(
    server: ServerProcess,
    *,
    kills: int,
    seed: int,
    pause: tuple[float, float],
    targets: Sequence[str] = ("server", "worker"),
    until: Callable[[], bool] = lambda: False,
    awake: Callable[[], bool] = lambda: True,
) -> int:
    """Kills the server or one of its workers after random pauses, and starts the server again.

    Args:
        server: a started server; it runs when this returns.
        kills: how many at most.
        seed: of the moments and targets.
        pause: shortest and longest time between two kills, seconds.
        targets: `server`, `worker`.
        until: stops the killing when true, for example when all jobs have ended.
        awake: every other kill waits until this is true, or `until` is, before its pause. Without it, a slow machine
            would be killed in its start-up only.

    Returns:
        The number of kills.
    """
    chance = random.Random(seed)
    done = 0
    while done < kills and not until():
        if done % 2:
            wait_until(lambda: awake() or until(), 60.0, "the server does not get to work")
        time.sleep(chance.uniform(*pause))
        workers = server.workers()
        if chance.choice(targets) == "worker" and workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(workers), signal.SIGKILL)
        elif "server" in targets:
            server.kill()
            server.start()
        else:
            continue
        done += 1
    return done


def with_python_path(folder: Path) -> str:
    """PYTHONPATH with a folder in front of what is there."""
    return os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))


def wait_until(condition: Callable[[], bool], timeout: float, otherwise: str) -> None:
    """Waits for a condition; TimeoutError with the text `otherwise` where it does not come true."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(0.02)


def children_of(pid: int) -> list[int]:
    """Process ids of the children of all threads of a process (proc(5))."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(text) for text in path.read_text().split()]
    return found


def tree_digest(folder: Path, ignore: Callable[[Path], bool] = lambda path: False) -> str:
    """One digest of the names and bytes of all files under a folder, to compare results bit for bit."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not ignore(path):
            digest.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _command_line(pid: int) -> bytes:
    """Empty for a process that is gone or only waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
