"""`noyau serve` and `noyau worker` as an operator starts them: a job goes through the workers, and a cancel too."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from crash_harness import ServerProcess, wait_until
from noyau.client import Client
from noyau.domain.image import ImageRef
from noyau.domain.jobs import EventKind, JobState, SegmentSpec

PATIENCE = 300
NOYAU = [sys.executable, "-c", "from noyau.cli import main; main()"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A scheduler, a service and a worker; the folder of the service's socket, images and scratch."""
    folder = tmp_path_factory.mktemp("s")
    file, scratch = folder / "scheduler.json", folder / "scratch"
    own = {"NOYAU_DASK__SCHEDULER_FILE": str(file), "NOYAU_DASK__SCRATCH": str(scratch), "NOYAU_JOBS__THREADS": "1"}
    scheduler = [sys.executable, "-W", "ignore", "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"]
    scheduler += ["--port", "0", "--no-dashboard", "--no-show", "--scheduler-file", str(file)]
    serve = [*NOYAU, "serve", "--address", f"unix:{folder / 's.sock'}", "--state-dir", str(folder / "state")]
    environment = {**os.environ, **own, "OMP_NUM_THREADS": "1"}
    with (folder / "scheduler.log").open("wb") as log:
        one = subprocess.Popen(scheduler, stdout=log, stderr=log)
    service = ServerProcess(
        [*serve, "--root", str(folder)], "Noyau listens on", folder / "log", environment=environment, timeout=PATIENCE
    )
    with (folder / "worker.log").open("wb") as log:
        worker = [*NOYAU, "worker", "--root", str(folder), "--device", "cpu"]
        two = subprocess.Popen(worker, stdout=log, stderr=log, env=environment)
    try:
        with service:
            yield folder
        two.terminate()
        assert two.wait(60) == 0, (folder / "worker.log").read_text()
    finally:
        for process in (one, two):
            process.kill()
            process.wait()


def test_a_job_goes_through_the_workers(processes: Path, make_image: Callable[..., Path]) -> None:
    folder = processes
    z, y, x = np.indices((16, 96, 192), dtype=np.float32)
    distance = np.sqrt(((z % 16 - 8) * 2.2) ** 2 + (y % 24 - 12) ** 2 + (x % 24 - 12) ** 2)
    noise = np.random.default_rng(5).normal(0, 15, z.shape)
    pixels = (100 + 800 * (distance < 6) + noise).astype(np.uint16)
    image = make_image(folder / "a.ome.zarr", pixels, scale=(1.75, 0.8, 0.8), chunks=(16, 48, 48))
    spec = SegmentSpec((ImageRef(str(image)),), tile=(16, 32, 32))
    with Client(f"unix:{folder / 's.sock'}") as client:
        job = client.wait(client.submit(spec).id)
        log = (folder / "worker.log").read_text() + (folder / "log").read_text()
        assert (job.state, job.error) == (JobState.SUCCEEDED, None), log
        assert job.result is not None and job.result.nuclei > 5
        progress = [e for e in client.watch(job.id, follow=False) if e.kind is EventKind.PROGRESS]
        assert progress, "no progress was told"
        assert "Working for" in log
        # Cancelled at work, it ends soon and leaves nothing.
        second = client.submit(SegmentSpec(spec.images, labels="second", tile=(16, 16, 16)))
        wait_until(lambda: list((folder / "scratch").glob(f"{second.id}/*/*/done/*")) != [], PATIENCE, "no tile")
        began = time.monotonic()
        client.cancel(second.id)
        assert client.wait(second.id).state is JobState.CANCELLED
        assert time.monotonic() - began < 30
        wait_until(lambda: not (folder / "scratch" / second.id).exists(), PATIENCE, "scratch is left behind")
        assert not list(image.rglob(".second.*"))
