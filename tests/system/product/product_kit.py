"""What the tests of the whole product share: a real service, the command line as a user types it, small images.

Nothing is faked here: `noyau serve` runs as a process of its own with the models that are shipped.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from crash_harness import ServerProcess
from noyau.cli import build_app
from noyau.client import Client
from noyau.domain.geometry import VoxelSize
from noyau.domain.jobs import JobState
from noyau.training.synthetic import generate, recipe_named
from typer.testing import CliRunner

NOYAU = [sys.executable, "-c", "from noyau.cli import main; main()"]
"""The console script, also where the virtual environment is not on the PATH."""
VOXEL = (1.75, 0.8, 0.8)
QUIET_THREADS = {"OMP_NUM_THREADS": "1", "NOYAU_JOBS__THREADS": "2"}


@dataclass(frozen=True)
class Told:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


class Service:
    """`noyau serve` as an operator starts it.

    Args:
        folder: gets the socket, the state and the log; must be short enough for a socket's name.
        roots: folders in which images may lie.
        workers: worker processes.
        settings: environment variables.
    """

    def __init__(
        self, folder: Path, roots: Sequence[Path], *, workers: int = 1, settings: Mapping[str, str] | None = None
    ) -> None:
        self.address = f"unix:{folder / 's.sock'}"
        self.state = folder / "state"
        arguments = ["--address", self.address, "--state-dir", str(self.state), "--workers", str(workers)]
        for root in roots:
            arguments += ["--root", str(root)]
        self.process = ServerProcess(
            [*NOYAU, "serve", *arguments],
            "Noyau listens on",
            folder / "log",
            environment={**QUIET_THREADS, **(settings or {})},
            timeout=120,
        )

    def __enter__(self) -> Service:
        self.process.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.__exit__(*exc)

    def client(self) -> Client:
        return Client(self.address)

    def cli(self, *arguments: str) -> Told:
        """A command against this service."""
        return cli(*arguments, "--server", self.address)

    @property
    def scratch(self) -> list[Path]:
        """What lies in the folder of the jobs' scratch files."""
        folder = self.state / "work"
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def finished_units(self, job_id: str) -> dict[str, int]:
        """The job's ledger: unit and when it was recorded, microseconds."""
        return dict(
            self._ask(
                "SELECT stage || ' ' || unit, time_us FROM units JOIN jobs ON number = job_number WHERE id = ?", job_id
            )
        )

    def state_of(self, job_id: str) -> JobState:
        """State of a job, also while the service is down."""
        return JobState(self._ask("SELECT state FROM jobs WHERE id = ?", job_id)[0][0])

    def _ask(self, question: str, job_id: str) -> list[tuple[Any, ...]]:
        """Reads the database past the service: cheap enough for watching closely."""
        with closing(sqlite3.connect(f"file:{self.state / 'jobs.sqlite'}?mode=ro", uri=True)) as database:
            return database.execute(question, (job_id,)).fetchall()


def cli(*arguments: str) -> Told:
    """Runs a command of `noyau` in this process: the same code as the console script, without its start-up."""
    result = CliRunner().invoke(build_app(), list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Told(result.exit_code, result.stdout, result.stderr)


def spawn(
    *arguments: str, folder: Path | None = None, settings: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Runs a command of `noyau` in a process of its own."""
    return subprocess.Popen(
        [*NOYAU, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, **QUIET_THREADS, **(settings or {})},
    )


def volume(shape: tuple[int, int, int] = (16, 96, 96), seed: int = 1, recipe: str = "embryo") -> np.ndarray:
    """Synthetic nuclei, uint16 z/y/x, at the voxel size VOXEL; as it stands some ten."""
    return np.asarray(generate(shape, VoxelSize(*VOXEL), seed, recipe_named(recipe)).image)


def label_array(image: str | Path, name: str = "nuclei") -> np.ndarray:
    """The finest level of a label group, read by zarr-python."""
    group = zarr.open_group(str(Path(image) / "labels" / name), mode="r")
    return np.asarray(group["0"][...])


def leftovers(*folders: Path) -> list[Path]:
    """Hidden and temporary entries anywhere below; a finished or failed job leaves none."""
    return sorted(
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.name.startswith(".") and path.name not in (".zgroup", ".zattrs", ".zarray", ".zmetadata")
    )


def listing(folder: Path) -> dict[str, int]:
    """Every file and folder below with its size, to see whether anything changed."""
    return {
        str(path.relative_to(folder)): path.lstat().st_size if not path.is_dir() else -1
        for path in sorted(folder.rglob("*"))
    }
