"""Training through the service: metrics while it runs, kill -9 in the middle, a registered model that segments."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crash_harness import wait_until
from noyau.domain.image import ImageRef
from noyau.domain.jobs import EventKind, Job, JobState, SegmentSpec
from noyau.domain.training_jobs import TrainSpec
from product_kit import Service, label_array

NETWORK = {
    "ndim": 2,
    "offset_scale": 4.0,
    "levels": [
        {"channels": 6, "stride": [1, 1], "down": [[3, 3]], "up": [[3, 3]]},
        {"channels": 8, "stride": [2, 2], "down": [[3, 3]], "residual": True},
    ],
}
STEPS = 60


def discs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Image and labels of four bright discs, 64 x 64."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(64), np.arange(64), indexing="ij"), -1)
    labels = np.zeros((64, 64), np.uint16)
    for label, centre in enumerate(((14, 14), (46, 18), (20, 46), (48, 48)), start=1):
        labels[((grid - centre - rng.integers(-4, 5, 2)) ** 2).sum(-1) < rng.integers(40, 80)] = label
    return rng.poisson(100 + 300 * (labels > 0)).astype(np.uint16), labels


def write_pairs(folder: Path) -> Path:
    folder.mkdir()
    for seed in range(6):
        image, labels = discs(seed)
        np.savez(folder / f"s{seed}_t0.npz", image=image, labels=labels)
    return folder


@pytest.fixture
def training_service(short_folder: Path) -> Iterator[Service]:
    settings = {"NOYAU_MODELS_HOME": str(short_folder / "models"), "NOYAU_JOBS__THREADS": "1"}
    with Service(short_folder, [short_folder], settings=settings) as running:
        yield running


def spec_of(pairs: Path, **changes: Any) -> TrainSpec:
    overrides = {
        "arguments": NETWORK, "lr": 1e-2, "checkpoint_minutes": 0.0, "patience": 0, "validate_every": 10,
        "report_every": 5,
    }  # fmt: skip
    values: dict[str, Any] = {"data": (str(pairs),), "val": ("s0_*",), "steps": STEPS, "overrides": overrides}
    return TrainSpec(**{"name": "discs", **values, **changes})


def checkpoints(service: Service, job_id: str) -> int:
    return len([unit for unit in service.finished_units(job_id) if unit.startswith("checkpoint ")])


def ended(service: Service, job_id: str) -> Job:
    with service.client() as client:
        job = client.wait(job_id)
    assert job.state is JobState.SUCCEEDED, job.error
    return job


def test_a_killed_training_gives_the_very_model_of_an_undisturbed_one(
    training_service: Service, short_folder: Path, make_image: Callable[..., Path]
) -> None:
    service, pairs = training_service, write_pairs(short_folder / "pairs")
    with service.client() as client:
        calm = client.submit(spec_of(pairs, alias="calm"), owner="ann")
        metrics: dict[str, float] = {}
        for event in client.watch(calm.id):
            if event.kind is EventKind.METRIC:
                # Told while the job runs, not when it has ended.
                metrics[event.payload["name"]] = event.payload["value"]
                if len(metrics) == 1:
                    assert service.state_of(calm.id) is JobState.RUNNING
        first = ended(service, calm.id)
        assert {"train/total", "train/rate", "val/f1_50", "val/seg"} <= set(metrics)
        assert metrics["val/f1_50"] > 0.8

        killed = client.submit(spec_of(pairs), owner="ann")
        for already in (STEPS // 6, STEPS // 2):
            wait_until(lambda n=already: checkpoints(service, killed.id) >= n, 240, "the training makes no progress")  # type: ignore[misc]
            for worker in service.process.workers():
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
        second = ended(service, killed.id)
        told = [e.payload["message"] for e in client.watch(killed.id) if e.kind is EventKind.LOG]
        assert any("resumed at step" in message for message in told)
        assert second.attempts >= 2

        assert (first.result.models, second.result.models) == (("discs@1",), ("discs@2",))
        one, two = client.model("discs@1"), client.model("discs@2")
        assert one.digest == two.digest == second.result.model_digest
        assert client.model("discs@calm").version == "1"
        assert one.training["steps"] == STEPS and one.metrics["f1_50"] == pytest.approx(metrics["val/f1_50"], abs=0.3)
        for name in ("curves.png", "examples.png"):
            picture = next(Path(uri) for uri in second.result.files if uri.endswith(name))
            assert picture.read_bytes().startswith(b"\x89PNG")

        image, labels = discs(17)
        place = make_image(short_folder / "unseen.ome.zarr", image, "yx", scale=(0.5, 0.5))
        job = client.submit(SegmentSpec((ImageRef(str(place)),), model="discs@2", backend="torch", measure=False))
        assert ended(service, job.id).result.nuclei == 4
        found = label_array(place).reshape(64, 64)
        assert ((found > 0) == (labels > 0)).mean() > 0.95
    wait_until(lambda: not service.scratch, 30, "the scratch folders of the jobs stay")


def test_a_training_can_be_cancelled_in_the_middle_and_leaves_nothing(service: Service, place: Path) -> None:
    with service.client() as client:
        job = client.submit(spec_of(write_pairs(place / "pairs"), name="cancelled", steps=100_000))
        wait_until(lambda: checkpoints(service, job.id) > 0, 240, "the training does not begin")
        client.cancel(job.id)
        wait_until(lambda: client.get(job.id).state is JobState.CANCELLED, 30, "the training goes on")
        wait_until(lambda: not service.scratch, 60, "the cancelled training leaves its folder")
        assert "cancelled" not in [model.name for model in client.models()]


def test_two_trainings_of_one_name_both_succeed(service: Service, place: Path) -> None:
    pairs = write_pairs(place / "pairs")
    with service.client() as client:
        jobs = [client.submit(spec_of(pairs, name="twins", steps=2, seed=seed)) for seed in (1, 2)]
        models = [ended(service, job.id).result.models for job in jobs]
    assert sorted(models) == [("twins@1",), ("twins@2",)]
