"""A running job that is cancelled stops within two seconds and takes back what it wrote."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from crash_harness import children_of, wait_until
from noyau.domain.errors import JobCancelled
from noyau.domain.image import ImageRef
from noyau.domain.jobs import EventKind, JobState, SegmentSpec
from product_kit import VOXEL, Service, leftovers, listing, spawn

STOP_SECONDS = 2.0
ANSWER_SECONDS = 0.5
"""What a call itself may take on a busy machine."""


@pytest.fixture
def large_image(place: Path, embryo: np.ndarray, make_image: Callable[..., Path]) -> Path:
    """Far more than can be segmented while the test runs: 19 million voxels."""
    pixels = np.tile(embryo, (2, 8, 8))
    return make_image(place / "large.ome.zarr", pixels, scale=VOXEL, chunks=(32, 96, 96))


def start(service: Service, image: Path) -> str:
    """Submits the job and waits until its first tiles are predicted."""
    with service.client() as client:
        job_id = client.submit(SegmentSpec((ImageRef(str(image)),), tile=(32, 96, 96))).id
        for event in client.watch(job_id):
            if event.kind is EventKind.PROGRESS and event.payload["done"] >= 2:
                return job_id
    raise AssertionError("the job ended before it could be cancelled")


def processor_seconds(pid: int) -> float:
    """What a process has used so far (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def check_stopped(service: Service, job_id: str, image: Path, before: dict[str, int]) -> None:
    """Nothing computes, and nothing of the job is left in the image or the scratch."""
    with service.client() as client:
        assert client.get(job_id).state is JobState.CANCELLED
    wait_until(lambda: not service.scratch and listing(image) == before, 20, "the job left something behind")
    wait_until(lambda: bool(service.process.workers()), 20, "there is no worker")
    used = {pid: processor_seconds(pid) for pid in service.process.workers()}
    wait_until(lambda: _is_idle(service, used), 30, "a worker computes on")


def _is_idle(service: Service, used: dict[int, float]) -> bool:
    """Below a tenth of a processor over half a second; a worker that is new may still be loading."""
    time.sleep(0.5)
    now = {pid: processor_seconds(pid) for pid in service.process.workers()}
    idle = now.keys() == used.keys() and all(now[pid] - used[pid] < 0.05 for pid in now)
    used.clear()
    used.update(now)
    return idle


def test_cancel_stops_a_running_job(service: Service, large_image: Path) -> None:
    before = listing(large_image)
    job_id = start(service, large_image)
    with service.client() as client:
        began = time.monotonic()
        job = client.cancel(job_id)
        assert time.monotonic() - began < STOP_SECONDS + ANSWER_SECONDS
        assert job.cancel_requested or job.state is JobState.CANCELLED
        with pytest.raises(JobCancelled):
            client.result(job_id)
        assert time.monotonic() - began < STOP_SECONDS + 2 * ANSWER_SECONDS
        assert client.cancel(job_id).state is JobState.CANCELLED, "a second cancel does no harm"
    check_stopped(service, job_id, large_image, before)


def test_the_command_cancels_and_the_watcher_is_told(service: Service, large_image: Path) -> None:
    before = listing(large_image)
    job_id = start(service, large_image)
    told = service.cli("jobs", "cancel", job_id)
    assert told.code == 0, told.err
    watched = service.cli("jobs", "watch", job_id, "--quiet")
    assert (watched.code, watched.err) == (9, f"noyau: Job {job_id} was cancelled.\n")
    check_stopped(service, job_id, large_image, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_ctrl_c_ends_a_private_service(number: signal.Signals, large_image: Path, short_folder: Path) -> None:
    before = listing(large_image)
    # Its state and socket go into a folder of the test's own, to see that they are removed.
    command = spawn(
        "segment", str(large_image), "--tile", "32,96,96", "--local", settings={"TMPDIR": str(short_folder)}
    )
    read_until(command, "predict")
    processes = [command.pid, *children_of(command.pid)]
    assert len(processes) >= 2, "there is no worker process"
    began = time.monotonic()
    command.send_signal(number)
    _, err = command.communicate(timeout=60)
    seconds = time.monotonic() - began
    assert (command.returncode, err.splitlines()[-1]) == (9, "noyau: cancelled")
    assert "Traceback" not in err
    assert seconds < 10
    assert not any(Path(f"/proc/{pid}").exists() for pid in processes)
    assert list(short_folder.iterdir()) == []
    assert listing(large_image) == before


def test_a_client_that_disappears_does_not_stop_its_job(service: Service, embryo_image: Path) -> None:
    command = spawn("segment", str(embryo_image), "--server", service.address)
    read_until(command, "prepare")
    command.kill()
    command.communicate(timeout=30)
    with service.client() as client:
        (job,) = (job for job in client.list().jobs if job.spec.images[0].uri == str(embryo_image))
        assert client.result(job.id).nuclei > 5
    assert leftovers(embryo_image) == []


def read_until(command: subprocess.Popen[str], word: str) -> None:
    """Reads its standard error up to a line."""
    assert command.stderr is not None
    seen = []
    for line in command.stderr:
        seen.append(line)
        if line.strip() == word:
            return
    raise AssertionError(f"'{word}' never came: {seen}")
