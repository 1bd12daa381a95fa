"""The whole service dies in the middle of a job; started again, it ends the job once and watchers miss nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from noyau.cli import build_app
from noyau.client import Client
from noyau.domain.image import ImageRef
from noyau.domain.jobs import Event, EventKind, Job, JobState, SegmentSpec
from typer.testing import CliRunner

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def make_image(folder: Path) -> Path:
    random = np.random.default_rng(5)
    z, y, x = np.indices((24, 192, 384), dtype=np.float32)
    distance = np.sqrt(((z % 24 - 12) * 2.2) ** 2 + (y % 24 - 12) ** 2 + (x % 24 - 12) ** 2)
    np.savez(folder / "a.npz", image=(100 + 800 * (distance < 6) + random.normal(0, 15, z.shape)).astype(np.uint16))
    arguments = ["convert", str(folder / "a.npz"), str(folder / "a.ome.zarr"), "--voxel-size", "1.75,0.8,0.8"]
    assert CliRunner().invoke(build_app(), arguments).exit_code == 0
    return folder / "a.ome.zarr"


@pytest.fixture
def start_service(tmp_path: Path) -> Any:
    """Starts `noyau serve` on one socket and one state folder, as often as the test wants."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NOYAU_")}
    environment["OMP_NUM_THREADS"] = "1"
    command = [sys.executable, "-m", "noyau.cli", "serve", "--address", f"unix:{tmp_path / 's.sock'}"]
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        service = subprocess.Popen(
            [*command, "--state-dir", str(tmp_path / "state"), "--log-level", "warning"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(service)
        assert service.stdout is not None
        assert service.stdout.readline().startswith("Noyau listens on")
        return service

    yield start
    for service in started:
        service.terminate()
        service.communicate(timeout=60)


def test_a_killed_service_goes_on_where_it_was(start_service: Callable[[], Any], tmp_path: Path) -> None:
    image = make_image(tmp_path)
    service = start_service()
    seen: list[Event] = []
    ends: list[Job] = []
    predicting = threading.Event()

    def note(event: Event) -> None:
        seen.append(event)
        if event.kind is EventKind.PROGRESS and event.payload["done"] > 0:
            predicting.set()

    with Client(f"unix:{tmp_path / 's.sock'}") as client:
        job = client.submit(SegmentSpec((ImageRef(str(image)),), tile=(24, 64, 64)))
        watcher = threading.Thread(target=lambda: ends.append(client.wait(job.id, note)))
        watcher.start()
        assert predicting.wait(120), "the job did not start"
        service.send_signal(signal.SIGKILL)
        service.wait()
        start_service()
        watcher.join(200)
        assert not watcher.is_alive(), "the job did not end"
        once = client.submit(SegmentSpec((ImageRef(str(image)),), labels="again", tile=(24, 64, 64)))
        undisturbed = client.result(once.id)
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    assert ends[0].state is JobState.SUCCEEDED
    assert ends[0].result is not None
    assert ends[0].result.nuclei == undisturbed.nuclei > 0
    assert ends[0].attempts == 2
    assert sorted(path.name for path in (image / "labels").iterdir()) == ["again", "nuclei", "zarr.json"]
