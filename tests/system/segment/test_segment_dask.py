"""The same labels from workers in other processes, whatever dies in between."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dask_kit import Cluster, cluster
from noyau.compute.dask import DaskSite
from noyau.compute.dask_link import SchedulerPlace
from noyau.domain.errors import FailedPrecondition, JobCancelled, Unavailable
from noyau.domain.progress import MemoryLedger, SilentReporter
from noyau.pipelines import segment
from noyau.pipelines.context import Limits
from noyau.pipelines.file_ledger import FileLedger
from noyau.spreading import software_version

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
TILE = (24, 20, 20)
SLOW = 0.3
PATIENCE = 400


class Watcher(SilentReporter):
    """Remembers what it is told, and stops the job when asked to."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.told: list[tuple[float, float, str]] = []
        self.logs: list[str] = []
        self.stop = threading.Event()

    def stage(self, name: str) -> None:
        self.stages.append(name)

    def progress(self, done: float, total: float, unit: str) -> None:
        self.told.append((done, total, unit))

    def log(self, message: str, level: str = "info") -> None:
        self.logs.append(message)

    def check(self) -> None:
        if self.stop.is_set():
            raise JobCancelled("Enough.")


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers that nobody kills."""
    with cluster(tmp_path_factory.mktemp("dask")) as running:
        yield running


@pytest.fixture
def picture(workshop: Any, worlds: Any) -> tuple[str, np.ndarray]:
    """An image of a dozen tiles and its labels from one process."""
    uri = workshop.image(worlds((24, 72, 76)).image)
    segment.run(workshop.spec(uri, tile=TILE), workshop.context(job_id="first"))
    return uri, workshop.labels(uri)


def site_of(running: Cluster, patience: float = 120, version: str = "") -> DaskSite:
    place = SchedulerPlace(running.address, patience=patience)
    return DaskSite(place, running.scratch, version or software_version())


@pytest.fixture
def spread(workshop: Any) -> Callable[..., Any]:
    """Contexts whose work is done by a cluster."""

    def make(running: Cluster, job: str, **changes: Any) -> Any:
        return workshop.context(
            **{"workdir": running.scratch / job, "job_id": job, "site": site_of(running), "backends": None, **changes}
        )

    return make


def test_workers_give_the_labels_of_one_process(workshop, picture, spread, fast):
    uri, expected = picture
    watcher, ledger = Watcher(), MemoryLedger()
    context = spread(fast, "plain", reporter=watcher, ledger=ledger)
    result = segment.run(workshop.spec(uri, tile=TILE, overwrite=True), context)
    np.testing.assert_array_equal(workshop.labels(uri), expected)
    assert result.nuclei == expected.max() > 20
    assert {"predict", "write"} <= set(watcher.stages)
    tiles = [told for told in watcher.told if told[2] == "tile"]
    assert tiles == sorted(tiles) and tiles[-1][0] == tiles[-1][1] > 8
    assert ledger.finished("predict") and ledger.finished("decode") and ledger.finished("write")
    # Nothing of the run is left on the workers, and only the mark of the attempt was in the folder.
    assert not list((fast.scratch / "plain").glob("attempt-*"))


def test_a_single_image_is_cut_for_all_workers(workshop, worlds, spread, fast):
    uri = workshop.image(worlds((24, 72, 76)).image, "single")
    here, there = Watcher(), Watcher()
    limits = Limits(network_bytes=36_000_000)
    segment.run(workshop.spec(uri), workshop.context(job_id="first", limits=limits, reporter=here))
    expected = workshop.labels(uri)
    segment.run(workshop.spec(uri, overwrite=True), spread(fast, "single", limits=limits, reporter=there))
    tiles = [[told[1] for told in one.told if told[2] == "tile"][-1] for one in (here, there)]
    assert tiles[0] < tiles[1], (here.told, there.told)
    np.testing.assert_array_equal(workshop.labels(uri), expected)


def test_small_images_of_a_set_go_whole(workshop, worlds, spread, fast):
    images = [workshop.image(worlds((1, 90, 100), seed=n).image, f"plane{n}", voxel_size=None) for n in range(5)]
    segment.run(workshop.spec(*images), workshop.context(job_id="first"))
    expected = [workshop.labels(uri) for uri in images]
    watcher = Watcher()
    result = segment.run(
        workshop.spec(*images, overwrite=True), spread(fast, "planes", reporter=watcher, ledger=MemoryLedger())
    )
    for uri, labels in zip(images, expected, strict=True):
        np.testing.assert_array_equal(workshop.labels(uri), labels)
    assert [image.nuclei for image in result.images] == [int(labels.max()) for labels in expected]
    assert [told for told in watcher.told if told[2] == "image"][-1] == (5, 5, "image")


def test_a_size_that_is_found_out_is_the_same(workshop, worlds, spread, fast):
    uri = workshop.image(worlds((24, 72, 76)).image, "sized")
    segment.run(workshop.spec(uri, fit_diameter=True), workshop.context(job_id="first"))
    expected = workshop.labels(uri)
    segment.run(workshop.spec(uri, fit_diameter=True, overwrite=True), spread(fast, "sized"))
    np.testing.assert_array_equal(workshop.labels(uri), expected)


def test_errors_of_workers_arrive_as_they_are(workshop, picture, spread, fast):
    uri, _ = picture
    chunk = next(path for path in sorted(Path(uri).rglob("*")) if path.is_file() and path.name.isdigit())
    ledger = MemoryLedger()
    context = spread(fast, "damaged", ledger=ledger)
    kept = chunk.read_bytes()
    chunk.write_bytes(b"no chunk")
    with pytest.raises(Exception) as caught:
        segment.run(workshop.spec(uri, tile=TILE, overwrite=True), context)
    with pytest.raises(type(caught.value)) as here:
        segment.run(workshop.spec(uri, tile=TILE, overwrite=True), workshop.context(job_id="here"))
    assert str(caught.value) == str(here.value)
    chunk.write_bytes(kept)


def test_a_cancel_reaches_the_workers_at_once(workshop, picture, spread, tmp_path):
    uri, _ = picture
    with cluster(tmp_path, workers=0) as running:
        running.start_worker("worker0", seconds=3)
        running.wait_for_workers("worker0")
        watcher = Watcher()
        ended: list[float] = []

        def run() -> None:
            with pytest.raises(JobCancelled):
                segment.run(workshop.spec(uri, tile=TILE, overwrite=True), spread(running, "cut", reporter=watcher))
            ended.append(time.monotonic())

        job = threading.Thread(target=run)
        job.start()
        deadline = time.monotonic() + PATIENCE
        while not watcher.told and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(2)
        watcher.stop.set()
        began = time.monotonic()
        job.join(60)
        # The network itself sleeps for three seconds at a time; nobody waits for it.
        assert ended and ended[0] - began < 5
        time.sleep(4)
        done = len(list((running.scratch / "cut").rglob("predict-*")))
        time.sleep(4)
        assert len(list((running.scratch / "cut").rglob("predict-*"))) == done, "a worker went on"


def test_nothing_that_dies_changes_a_label(workshop, picture, tmp_path):
    """A worker, the scheduler and the coordinator, each killed in the middle, in one job."""
    uri, expected = picture
    with cluster(tmp_path, workers=0) as running:
        for name in ("worker0", "worker1"):
            running.start_worker(name, seconds=SLOW)
        running.wait_for_workers("worker0", "worker1")
        order = {"address": running.address, "scratch": str(running.scratch), "job": "hard", "image": uri, "tile": TILE}
        running.run("coordinator", "blob_coordinator.py", json.dumps({**order, "attempt": 1}))
        ledger = FileLedger(running.scratch / "hard" / "ledger.jsonl")

        def wait_for_tiles(count: int) -> None:
            deadline = time.monotonic() + PATIENCE
            while len(ledger.finished("predict")) < count:
                assert running.processes["coordinator"].poll() is None, running.log("coordinator")
                assert time.monotonic() < deadline, running.log("coordinator") + running.log("worker1")
                time.sleep(0.05)

        wait_for_tiles(1)
        running.kill("worker0")
        wait_for_tiles(3)
        running.kill("scheduler")
        running.start_scheduler()
        wait_for_tiles(5)
        running.kill("coordinator")
        before = set(ledger.finished("predict"))
        running.start_worker("worker2", seconds=SLOW)
        again = running.run("coordinator", "blob_coordinator.py", json.dumps({**order, "attempt": 2}))
        assert again.wait(PATIENCE) == 0, running.log("coordinator")
        assert running.log("coordinator").count("nuclei ") == 1
        lines = [line for line in ledger._path.read_text().splitlines() if line]
        units = [tuple(json.loads(line)[:2]) for line in lines]
        assert len(units) == len(set(units)), "a unit was recorded twice"
        assert before < set(ledger.finished("predict"))
    np.testing.assert_array_equal(workshop.labels(uri), expected)


def test_a_scheduler_that_is_not_there(workshop, picture, spread, tmp_path):
    uri, _ = picture
    nowhere = Cluster(tmp_path, tmp_path / "scratch")
    watcher = Watcher()
    context = spread(nowhere, "alone", site=site_of(nowhere, patience=5), reporter=watcher)
    with pytest.raises(Unavailable) as caught:
        segment.run(workshop.spec(uri, overwrite=True), context)
    assert nowhere.address in caught.value.cause and caught.value.remedy
    assert any("Trying again" in line for line in watcher.logs)


def test_no_gpu_where_one_is_asked_for(workshop, picture, spread, fast):
    uri, _ = picture
    with pytest.raises(FailedPrecondition, match="none offers a GPU"):
        segment.run(workshop.spec(uri, overwrite=True, device="cuda"), spread(fast, "gpu"))
    with pytest.raises(FailedPrecondition, match="openvino was asked for"):
        segment.run(workshop.spec(uri, overwrite=True, backend="openvino"), spread(fast, "openvino"))


def test_workers_of_another_version_or_scratch_do_nothing_and_say_why(workshop, picture, spread, tmp_path):
    uri, expected = picture
    with cluster(tmp_path, workers=0) as running:
        running.start_worker("old", version="0.0.9")
        running.start_worker("apart", mark="another")
        running.wait_for_workers("old", "apart")
        context = spread(running, "waits", site=site_of(running, patience=3), reporter=Watcher())
        with pytest.raises(Unavailable) as caught:
            segment.run(workshop.spec(uri, tile=TILE, overwrite=True), context)
        assert "no worker for this job" in caught.value.cause
        # The coordinator has announced itself: both refuse, with cause and remedy, and end.
        assert running.wait("old") == running.wait("apart") == 9
        assert "has version 0.0.9 of Noyau, and the coordinator has version" in running.log("old")
        assert "Install the coordinator's version" in running.log("old")
        assert "is not the scratch folder of the coordinator" in running.log("apart")
        running.start_worker("right")
        segment.run(workshop.spec(uri, tile=TILE, overwrite=True), spread(running, "waits"))
    np.testing.assert_array_equal(workshop.labels(uri), expected)


def test_a_later_attempt_fences_the_orders_of_an_earlier_one(workshop, picture, spread, fast):
    from noyau.pipelines import attempts

    uri, _ = picture
    folder = fast.scratch / "fenced"
    attempts.begin(folder, 7)
    with pytest.raises(JobCancelled, match="taken the job over"):
        segment.run(workshop.spec(uri, tile=TILE, overwrite=True), spread(fast, "fenced", attempt=6))
