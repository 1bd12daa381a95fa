"""The soak in small: a service that is killed twice does a dozen jobs, each once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from noyau.bench.soak import Soak, bench_soak, growth
from noyau.bench.soak_service import Weight
from noyau.domain.progress import SilentReporter


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder with a path short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="noyau-soak-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_dozen_jobs_and_two_kills(short_folder: Path) -> None:
    rows = {row.name: row for row in bench_soak(Soak(jobs=12, kills=2), short_folder, SilentReporter())}
    assert rows["jobs"].value == 12 and rows["kill -9"].value == 2
    found = {name: rows[name].value for name in ("lost", "doubled", "different", "left behind")}
    assert found == {"lost": 0, "doubled": 0, "different": 0, "left behind": 0}, rows["lost"].note


def test_growth_is_the_slope_of_the_processes_that_lived_on() -> None:
    flat = [Weight("coordinator", 1, jobs, 100.0) for jobs in range(0, 300, 50)]
    grows = [Weight("worker", 2, jobs, 200.0 + 0.5 * jobs) for jobs in range(0, 300, 50)]
    dead = [Weight("worker", 3, jobs, 50.0 + jobs) for jobs in range(0, 100, 50)]
    rows = growth([*flat, *grows, *dead], settled=100)
    assert [(row.name, round(row.value, 6)) for row in rows] == [
        ("memory of a coordinator", 0.0),
        ("memory of a worker", 50.0),
    ]
    assert rows[1].note.startswith("250 to 325 MiB over 150 jobs")
