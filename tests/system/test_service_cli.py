"""The product as a user meets it: commands in processes of their own, over the real service and the shipped models."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from noyau.cli import build_app
from noyau.client import Client
from noyau.domain.errors import InvalidInput, NotFound, PermissionRefused
from noyau.domain.image import ImageRef
from noyau.domain.jobs import JobState, SegmentSpec
from typer.testing import CliRunner

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NOYAU = (sys.executable, "-m", "noyau.cli")
PATIENCE = 240


def blobs(shape: tuple[int, int, int], spacing: int = 24, radius: float = 6.0) -> np.ndarray:
    """Bright balls on a grid in noise; a 2D image where the shape has one plane. Voxels are taken as isotropic."""
    random = np.random.default_rng(5)
    z, y, x = np.indices(shape, dtype=np.float32)
    middle = spacing / 2
    depth = 0 if shape[0] == 1 else (z % spacing - middle) * 2.2
    distance = np.sqrt(depth**2 + (y % spacing - middle) ** 2 + (x % spacing - middle) ** 2)
    return (100 + 800 * (distance < radius) + random.normal(0, 15, shape)).astype(np.uint16)


@dataclass(frozen=True)
class Place:
    """A working folder, and an environment in which nothing of the user's own settings counts."""

    folder: Path
    environment: dict[str, str]

    def run(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*NOYAU, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        if code is not None:
            assert done.returncode == code, done.stderr
        return done

    def ask(self, *arguments: str, code: int = 0) -> str:
        """A command that only talks to a service, in this process, which is quicker; returns its standard output."""
        done = CliRunner().invoke(build_app(), [*arguments])
        assert done.exit_code == code, done.stderr
        return done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*NOYAU, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def scratch(self) -> Path:
        return Path(self.environment["TMPDIR"])


def make_place(folder: Path) -> Place:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NOYAU_")}
    (folder / "tmp").mkdir()
    (folder / "work").mkdir()
    environment |= {"TMPDIR": str(folder / "tmp"), "XDG_DATA_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
    return Place(folder / "work", environment)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, str]]:
    """A real service with one worker, and two images under its root."""
    place = make_place(tmp_path_factory.mktemp("served"))
    np.savez(place.folder / "a.npz", image=blobs((16, 72, 72)))
    place.run("convert", "a.npz", "a.ome.zarr", "--voxel-size", "1.75,0.8,0.8")
    service = place.start("serve", "--address", "127.0.0.1:0", "--state-dir", str(place.folder.parent / "state"))
    try:
        assert service.stdout is not None
        line = service.stdout.readline()
        assert line.startswith("Noyau listens on 127.0.0.1:"), service.stderr and service.stderr.read()
        yield place, line.split()[3].rstrip(";")
    finally:
        service.terminate()
        _, errors = service.communicate(timeout=60)
    assert service.returncode == 0, errors


def test_the_lines_of_the_manual_work_as_they_stand(place: Place) -> None:
    for name in ("a", "b"):
        np.savez(place.folder / f"{name}.npz", image=blobs((16, 72, 72)))
        place.run("convert", f"{name}.npz", f"{name}.ome.zarr", "--voxel-size", "1.75,0.8,0.8")
    line = "segment a.ome.zarr b.ome.zarr --model nuclei-3d --labels nuclei --tile 32,64,64 --local"
    done = place.run(*line.split())
    for name in ("a", "b"):
        assert f"{name}.ome.zarr" in done.stdout
        assert (place.folder / f"{name}.ome.zarr" / "labels" / "nuclei" / "zarr.json").is_file()
        assert list((place.folder / f"{name}.ome.zarr").rglob("provenance.json"))
    # The balls are 9.6 µm wide, smaller than the nuclei of the model: a size that was found out is said.
    assert done.stderr.count("warning: Segmented for nuclei of 9.58 µm") == 2
    assert "median volume" in done.stdout
    assert list(place.scratch.iterdir()) == []
    again = place.run(*line.split(), code=5)
    assert "--overwrite" in again.stderr
    replaced = place.run(*line.split(), "--diameter", "model", "--overwrite", "--json", "--quiet")
    job = json.loads(replaced.stdout)["job"]
    assert [Path(image["uri"]).name for image in job["result"]["images"]] == ["a.ome.zarr", "b.ome.zarr"]
    assert job["result"]["nuclei"] > 0
    assert replaced.stderr == ""


def test_a_plane_goes_the_same_way(place: Place) -> None:
    np.savez(place.folder / "p.npz", image=blobs((1, 120, 120), radius=8.0)[0])
    place.run("convert", "p.npz", "p.ome.zarr", "--voxel-size", "0.5,0.5")
    done = place.run("segment", "p.ome.zarr", "--tile", "64,64", "--local", "--json", "--quiet")
    result = json.loads(done.stdout)["job"]["result"]
    assert result["model"].startswith("nuclei-2d@")
    assert result["nuclei"] > 0


def test_bad_input_gives_one_sentence_its_code_and_leaves_nothing(place: Place) -> None:
    (place.folder / "empty").mkdir()
    for arguments, code in (
        (("none.ome.zarr",), 4),
        (("empty",), 3),
        (("empty", "--device", "cuda:99"), 11),
    ):
        done = place.run("segment", *arguments, "--local", "--quiet", "--json", code=code)
        assert json.loads(done.stdout)["error"]["exit_code"] == code
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert "Traceback" not in done.stderr
    assert sorted(path.name for path in place.folder.iterdir()) == ["empty"]
    assert list((place.folder / "empty").iterdir()) == []
    assert list(place.scratch.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_a_private_job_and_leaves_nothing(place: Place, number: signal.Signals) -> None:
    np.savez(place.folder / "large.npz", image=np.tile(blobs((24, 96, 96)), (2, 8, 8)))
    place.run("convert", "large.npz", "large.ome.zarr", "--voxel-size", "1.75,0.8,0.8")
    before = sorted(path for path in place.folder.rglob("*"))
    running = place.start("segment", "large.ome.zarr", "--local")
    assert running.stderr is not None
    for line in running.stderr:
        if line.strip() == "predict":
            break
    running.send_signal(number)
    _, errors = running.communicate(timeout=180)
    assert running.returncode == 9, errors
    assert sorted(path for path in place.folder.rglob("*")) == before
    assert list(place.scratch.iterdir()) == []


def test_jobs_of_a_running_service(served: tuple[Place, str]) -> None:
    place, address = served
    server = ("--server", address)
    image = str(place.folder / "a.ome.zarr")
    job = json.loads(place.ask("segment", image, "--labels", "first", *server, "--json", "--quiet"))["job"]
    assert job["state"] == "SUCCEEDED"
    listed = json.loads(place.ask("jobs", "list", *server, "--json"))["jobs"]
    assert job["id"] in [entry["id"] for entry in listed]
    assert job["id"] in place.ask("jobs", "list", *server, "--state", "succeeded")
    assert "SUCCEEDED" in place.ask("jobs", "show", job["id"], *server)
    events = [json.loads(line) for line in place.ask("jobs", "watch", job["id"], *server, "--json").splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["payload"] == {"state": "SUCCEEDED"}
    assert "median volume" in place.ask("jobs", "watch", job["id"], *server)
    assert "nuclei-3d@" in place.ask("models", "list", *server)
    assert "vote-unet" in place.ask("models", "show", "nuclei-3d", *server)
    shown = json.loads(place.ask("models", "show", "nuclei-3d", *server, "--json"))["model"]
    assert shown["ndim"] == 3
    place.ask("jobs", "cancel", job["id"], *server, code=11)
    place.ask("jobs", "show", "0000", *server, code=4)
    place.ask("jobs", "list", *server, "--state", "lost", code=3)
    measured = place.ask("measure", image, "--labels", "first", "--overwrite", *server, "--json", "--quiet")
    assert json.loads(measured)["job"]["result"]["nuclei"] == job["result"]["nuclei"]


def test_a_detached_job_is_found_again(served: tuple[Place, str]) -> None:
    place, address = served
    server = ("--server", address)
    image = str(place.folder / "a.ome.zarr")
    job_id = place.ask("segment", image, "--labels", "later", *server, "--detach", "--key", "k").strip()
    assert place.ask("segment", image, "--labels", "later", *server, "--detach", "--key", "k").strip() == job_id
    place.ask("jobs", "watch", job_id, *server, "--quiet")
    assert (Path(image) / "labels" / "later").is_dir()


def test_the_service_stays_inside_its_root_and_tells_mistakes_at_once(served: tuple[Place, str]) -> None:
    place, address = served
    with Client(address) as client:
        for uri, error in (("/etc", PermissionRefused), (str(place.folder / "none"), NotFound)):
            with pytest.raises(error):
                client.submit(SegmentSpec((ImageRef(uri),)))
        with pytest.raises(InvalidInput):
            client.result(client.submit(SegmentSpec((ImageRef(str(place.folder)),))).id)


def test_a_running_job_is_cancelled_within_two_seconds(served: tuple[Place, str]) -> None:
    place, address = served
    np.savez(place.folder / "l.npz", image=np.tile(blobs((24, 96, 96)), (2, 8, 8)))
    place.run("convert", "l.npz", "l.ome.zarr", "--voxel-size", "1.75,0.8,0.8")
    with Client(address) as client:
        job = client.submit(SegmentSpec((ImageRef(str(place.folder / "l.ome.zarr")),)))
        for event in client.watch(job.id):
            if event.payload.get("name") == "predict":
                break
        started = time.monotonic()
        found = client.cancel(job.id)
        took = time.monotonic() - started
        # Two seconds is what the service promises; the rest is the load of a test machine.
        assert took < 3.0
        assert found.cancel_requested
        assert client.wait(job.id).state is JobState.CANCELLED


def test_a_preview_through_the_service_is_what_a_crop_holds(served: tuple[Place, str]) -> None:
    _, address = served
    with Client(address) as client:
        image: Any = blobs((16, 72, 72))
        found = client.preview(image, probability=True)
        assert found.labels is not None
        assert found.probability is not None
        assert found.nuclei == found.labels.max() > 0
        assert found.labels.shape == found.probability.shape == image.shape
        assert found.probability[found.labels > 0].mean() > 0.5
        with pytest.raises(NotFound):
            client.preview(image, model="nuclei-9d")
