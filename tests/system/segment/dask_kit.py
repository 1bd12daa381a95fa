"""A scheduler, workers and a coordinator as processes of their own, for tests that kill them.

The network is the one of this folder, which is written down and needs no file; nothing else is replaced.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
PATIENCE = 240


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Cluster:
    """Processes that a test may kill.

    Attributes:
        folder: for logs.
        scratch: the shared scratch.
        port: of the scheduler, also after it was started again.
    """

    folder: Path
    scratch: Path
    port: int = field(default_factory=free_port)
    options: Sequence[str] = ()
    scheme: str = "tcp"
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def start_scheduler(self) -> None:
        # `python -m distributed.cli.dask_scheduler` is what the command `dask scheduler` runs.
        command = ["-m", "distributed.cli.dask_scheduler", "--host", self.address.rpartition(":")[0]]
        self._start("scheduler", [*command, "--port", str(self.port), "--no-dashboard", "--no-show", *self.options])
        self._until(lambda: _listens(self.port), "the scheduler does not listen")

    def start_worker(self, name: str, **changes: object) -> None:
        """A slot with the blob network; see `blob_slot.py`."""
        order = {"address": self.address, "scratch": str(self.scratch), "name": name, **changes}
        self._start(name, [str(HERE / "blob_slot.py"), json.dumps(order)])

    def kill(self, name: str) -> None:
        """kill -9."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def wait(self, name: str) -> int:
        """Until a process has ended by itself."""
        return self.processes[name].wait(PATIENCE)

    def log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def started(self, name: str) -> bool:
        return "Working for" in self.log(name)

    def wait_for_workers(self, *names: str) -> None:
        self._until(lambda: all(self.started(name) for name in names), f"{names} do not start")

    def run(self, name: str, script: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Another program, e.g. a coordinator."""
        self._start(name, [str(HERE / script), *arguments])
        return self.processes[name]

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()
        self.processes.clear()

    def _start(self, name: str, arguments: Sequence[str]) -> None:
        paths = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-W", "ignore", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
            )

    def _until(self, condition, otherwise: str) -> None:  # type: ignore[no-untyped-def]
        deadline = time.monotonic() + PATIENCE
        while not condition():
            logs = "\n".join(f"--- {name}\n{self.log(name)[-3000:]}" for name in self.processes)
            assert time.monotonic() < deadline, f"{otherwise}\n{logs}"
            time.sleep(0.1)


@contextlib.contextmanager
def cluster(folder: Path, workers: int = 2, **changes: object) -> Iterator[Cluster]:
    """A scheduler and workers that are ready; all of them are killed at the end."""
    from noyau.compute.shared_scratch import mark_scratch

    made = Cluster(folder, folder / "scratch", **changes)  # type: ignore[arg-type]
    mark_scratch(made.scratch)
    try:
        made.start_scheduler()
        names = [f"worker{n}" for n in range(workers)]
        for name in names:
            made.start_worker(name)
        made.wait_for_workers(*names)
        yield made
    finally:
        made.stop()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
