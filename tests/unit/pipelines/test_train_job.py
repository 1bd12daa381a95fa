"""The training job from its request to a registered model, and what it says of data that cannot be used."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import FailedPrecondition, InvalidInput, JobCancelled, NotFound, PermissionRefused
from noyau.domain.geometry import VoxelSize
from noyau.domain.progress import MemoryLedger, SilentReporter
from noyau.domain.training_jobs import TrainSpec
from noyau.models.home import ModelHome
from noyau.models.registry import ModelRegistry, shipped_packages
from noyau.pipelines import train_job
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.decoders import check_decoder
from noyau.pipelines.train_plan import read_plan

NETWORK = {
    "ndim": 2,
    "offset_scale": 4.0,
    "levels": [
        {"channels": 4, "stride": [1, 1], "down": [[3, 3]], "up": [[3, 3]]},
        {"channels": 6, "stride": [2, 2], "down": [[3, 3]]},
    ],
}
SETTINGS: dict[str, Any] = {"arguments": NETWORK, "batch": 1, "patch": [32, 32], "report_every": 1}


class Notes(SilentReporter):
    """Keeps what is told, and stops the job at a step when asked to."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.said: list[str] = []
        self.stages: list[str] = []
        self.metrics: dict[str, float] = {}
        self.stop_at = stop_at

    def log(self, message: str, level: str = "info") -> None:
        self.said.append(message)

    def stage(self, name: str) -> None:
        self.stages.append(name)

    def metric(self, name: str, value: float) -> None:
        self.metrics[name] = value

    def check(self) -> None:
        if self.stop_at is not None and self.metrics.get("train/step", 0) >= self.stop_at:
            raise JobCancelled("stopped by the test")


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Six pairs of 48 x 48 pixels with two nuclei each, of six specimens."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    for seed in range(6):
        rng = np.random.default_rng(seed)
        labels = np.zeros((48, 48), np.uint16)
        for label, (y, x) in enumerate(((6, 8), (28, 26)), start=1):
            y, x, size = y + rng.integers(0, 5), x + rng.integers(0, 5), rng.integers(10, 15)
            labels[y : y + size, x : x + size] = label
        np.savez(
            folder / f"s{seed}_t0.npz", image=rng.poisson(80 + 200 * (labels > 0)).astype(np.uint16), labels=labels
        )
    return folder


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., PipelineContext]:
    def make(job: str = "j1", reporter: Any = None, access: AccessPolicy | None = None) -> PipelineContext:
        home = ModelHome(str(tmp_path / "models"), tmp_path / "cache")
        return PipelineContext(
            registry=ModelRegistry((shipped_packages(),), home),
            access=access or AccessPolicy.everything(),
            workdir=tmp_path / "work" / job,
            backends=None,  # type: ignore[arg-type]
            reporter=reporter or Notes(),
            ledger=MemoryLedger(),
            job_id=job,
            owner="ann",
            threads=1,
        )

    return make


def spec_of(pairs: Path, **changes: Any) -> TrainSpec:
    values: dict[str, Any] = {"data": (str(pairs),), "steps": 4, "overrides": SETTINGS}
    return TrainSpec(**{"name": "tiny", **values, **changes})


def labels_of(folder: Path, labels: Callable[[np.ndarray], np.ndarray]) -> None:
    for path in folder.glob("*.npz"):
        with np.load(path) as stored:
            image, there = stored["image"], stored["labels"]
        np.savez(path, image=image, labels=labels(there))


def test_a_job_registers_a_model_that_says_how_it_was_made(pairs: Path, context: Callable[..., Any]) -> None:
    notes = Notes()
    place = context(reporter=notes)
    result = train_job.run(spec_of(pairs, alias="production", licence="CC0-1.0", description="Mine."), place)
    assert result.models == ("tiny@1",) and result.model == "tiny@1"
    info = place.registry.get("tiny@production")
    assert (info.licence, info.description, info.digest) == ("CC0-1.0", "Mine.", result.model_digest)
    assert info.registered["by"] == "ann"
    assert info.training["steps"] == 4 and info.training["batch"] == 1 and info.training["job"] == "j1"
    assert info.training["fingerprint"]["pairs"] == 5 and len(info.training["val"]) == 1
    assert {"f1_50", "seg", "foreground_iou", "step"} <= set(info.metrics)
    folder = place.registry.folder("tiny@1")
    record = json.loads((folder / "dataset.json").read_text())
    assert sorted(p["side"] for p in record["pairs"]) == ["train"] * 5 + ["validation"]
    assert json.loads((folder / "training.json").read_text())["reasons"]["batch"] == "as asked"
    card = (folder / "README.md").read_text()
    assert "![curves.png](curves.png)" in card and "CC0-1.0" in card and "| pairs | 6 | 12 |" in card
    assert {Path(uri).name for uri in result.files} >= {"curves.png", "examples.png", "dataset.json"}
    assert all(Path(uri).exists() for uri in result.files)
    assert "train/total" in notes.metrics and "val/f1_50" in notes.metrics
    assert notes.stages[:4] == ["prepare", "check", "read", "train"]
    assert list(place.ledger.finished("checkpoint"))


def test_a_restarted_job_keeps_its_plan_and_registers_once(pairs: Path, context: Callable[..., Any]) -> None:
    straight = train_job.run(spec_of(pairs), context("straight"))
    with pytest.raises(JobCancelled):
        train_job.run(spec_of(pairs), context("broken", Notes(stop_at=2)))
    run = context("broken").workdir / "run"
    before = read_plan(run)
    # The plan of the first start holds, whatever it would be now.
    changed = spec_of(pairs, overrides={**SETTINGS, "lr": 0.5})
    notes = Notes()
    again = train_job.run(changed, context("broken", notes))
    assert read_plan(run) == before and any("resumed at step 2" in text for text in notes.said)
    assert again.model_digest == straight.model_digest
    # Killed after the registration, before the job was recorded as done.
    once_more = train_job.run(changed, context("broken"))
    assert once_more.models == again.models
    assert len([m for m in context().registry.list() if m.name == "tiny"]) == 2


def test_a_child_keeps_network_and_normalisation_of_its_parent(pairs: Path, context: Callable[..., Any]) -> None:
    place = context()
    parent = train_job.run(spec_of(pairs), place).model
    settings = {"batch": 1, "patch": [32, 32], "lr": 0.0, "validate_every": 1, "keep": "best"}
    child = train_job.run(
        spec_of(pairs, name="child", parent="tiny", mode="finetune", overrides=settings, steps=1), context("j2")
    )
    old, new = place.registry.get(parent), place.registry.get(child.model)
    assert new.parent == old.ref and any("better than the parent tiny@1" in text for text in child.warnings)
    assert (new.arguments, new.normalisation, new.vote) == (old.arguments, old.normalisation, old.vote)
    weights = [place.registry.load(ref).network.state_dict() for ref in (parent, child.model)]
    for name, value in weights[0].items():
        if name.endswith("weight"):
            torch.testing.assert_close(weights[1][name], value)


def test_a_child_sees_dark_nuclei_as_its_parent_saw_bright_ones(pairs: Path, context: Callable[..., Any]) -> None:
    place = context()
    train_job.run(spec_of(pairs), place)
    for path in pairs.glob("*.npz"):
        with np.load(path) as stored:
            image, labels = stored["image"], stored["labels"]
        np.savez(path, image=image.max() - image, labels=labels)
    notes = Notes()
    settings = {"batch": 1, "patch": [32, 32]}
    child = train_job.run(
        spec_of(pairs, name="child", parent="tiny", mode="finetune", overrides=settings, steps=1, synthetic_count=2),
        context("j2", notes),
    )
    old, new = place.registry.get("tiny"), place.registry.get(child.model)
    assert new.normalisation == replace(old.normalisation, inverted=True)
    assert any(text.startswith("normalisation.inverted true: nuclei stand out by -") for text in notes.said)
    assert read_plan(context("j2").workdir / "run").config.normalisation.inverted


def test_pretraining_needs_no_labels_and_is_a_parent(pairs: Path, context: Callable[..., Any]) -> None:
    place = context()
    labels_of(pairs, np.zeros_like)
    body = train_job.run(spec_of(pairs, name="body", mode="pretrain"), place)
    with pytest.raises(FailedPrecondition, match="pretrained without labels"):
        check_decoder(place.registry.get(body.model))
    labels_of(pairs, lambda labels: (np.indices(labels.shape)[0] // 16 + 1).astype(np.uint16))
    settings = {name: value for name, value in SETTINGS.items() if name != "arguments"}
    child = train_job.run(
        spec_of(pairs, name="child", parent="body", mode="finetune", overrides=settings), context("j2")
    )
    info = place.registry.get(child.model)
    assert (info.decoder, info.parent) == ("vote", "body@1") and info.arguments["levels"] == NETWORK["levels"]
    check_decoder(info)


def test_one_image_trains_without_validation(pairs: Path, context: Callable[..., Any]) -> None:
    notes = Notes()
    result = train_job.run(spec_of(pairs / "s0_t0.npz"), context(reporter=notes))
    assert any("no pair is held back" in text for text in notes.said)
    assert any("one pair only" in warning for warning in result.warnings)
    assert context().registry.get(result.model).metrics == {}


def test_synthetic_pairs_alone_are_enough(context: Callable[..., Any]) -> None:
    place = context()
    result = train_job.run(TrainSpec("tiny", (), ndim=2, synthetic_count=2, steps=2, overrides=SETTINGS), place)
    info = place.registry.get(result.model)
    assert (
        info.training["synthetic_count"] == 2
        and "2 synthetic pairs" in (place.registry.folder(result.model) / "README.md").read_text()
    )


def test_images_of_another_voxel_size_are_brought_to_that_of_the_model(
    pairs: Path, context: Callable[..., Any]
) -> None:
    for path in pairs.glob("*.npz"):
        with np.load(path) as stored:
            image, labels = stored["image"], stored["labels"]
        np.savez(path, image=image, labels=labels, voxel_size=np.array([1.0, 0.5, 0.5]))
    place = context()
    result = train_job.run(spec_of(pairs, voxel_size=VoxelSize(1.0, 0.25, 0.25)), place)
    info = place.registry.get(result.model)
    assert tuple(info.voxel_size) == (1.0, 0.25, 0.25)
    assert info.training["fingerprint"]["shape"] == [96, 96]
    assert info.training["fingerprint"]["diameter"] == pytest.approx(27, rel=0.2)
    assert info.diameter == pytest.approx(27 * 0.25, rel=0.2)


def test_empty_labels_are_an_error(pairs: Path, context: Callable[..., Any]) -> None:
    labels_of(pairs, np.zeros_like)
    with pytest.raises(InvalidInput, match="labelled"):
        train_job.run(spec_of(pairs), context())


def test_labels_that_are_all_ignored_are_an_error(pairs: Path, context: Callable[..., Any]) -> None:
    labels_of(pairs, lambda labels: np.full(labels.shape, -1, np.int32))
    with pytest.raises(InvalidInput, match=r"(?i)labelled|unknown|ignore"):
        train_job.run(spec_of(pairs), context())


def test_a_bad_pair_stops_the_job_or_is_left_out_and_named(pairs: Path, context: Callable[..., Any]) -> None:
    np.savez(pairs / "s9_t0.npz", image=np.ones((48, 48)), labels=np.ones((40, 48), np.uint16))
    with pytest.raises(InvalidInput, match="s9_t0"):
        train_job.run(spec_of(pairs), context())
    notes = Notes()
    result = train_job.run(spec_of(pairs, on_bad_pair="skip", steps=1), context("j2", notes))
    assert any("s9_t0" in warning for warning in result.warnings) and any("s9_t0" in text for text in notes.said)


@pytest.mark.parametrize(
    ("changes", "error", "word"),
    [
        ({"parent": "nuclei-3d", "mode": "finetune"}, InvalidInput, "nuclei-3d@.* has 3 dimensions"),
        ({"parent": "nobody", "mode": "finetune"}, NotFound, "nobody"),
        ({"overrides": {**SETTINGS, "colour": 3}}, InvalidInput, "colour"),
        ({"overrides": {**SETTINGS, "augment.colour": 3}}, InvalidInput, "augment.colour"),
        ({"overrides": {**SETTINGS, "batch": "many"}}, InvalidInput, "batch"),
        ({"overrides": {**SETTINGS, "name": "other"}}, InvalidInput, "name"),
        ({"overrides": {**SETTINGS, "decoder": "magic"}}, InvalidInput, "magic"),
        ({"overrides": {**SETTINGS, "patch": [31, 32]}}, FailedPrecondition, "stride"),
        ({"val": ("nothing*",)}, InvalidInput, "nothing"),
        ({"val": ("*",)}, InvalidInput, "left to train on"),
        ({"data": ("missing",)}, NotFound, "missing"),
    ],
)
def test_what_cannot_be_trained_is_named(
    pairs: Path, context: Callable[..., Any], changes: dict[str, Any], error: type[Exception], word: str
) -> None:
    with pytest.raises(error, match=word):
        train_job.run(replace(spec_of(pairs), **changes), context())
    assert not [m for m in context().registry.list() if m.name == "tiny"]


def test_data_outside_the_allowed_places_is_refused(pairs: Path, context: Callable[..., Any], tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "link").symlink_to(pairs)
    for data in (str(pairs), str(allowed / "link")):
        with pytest.raises(PermissionRefused):
            train_job.run(spec_of(pairs, data=(data,)), context(access=AccessPolicy((str(allowed),))))


@pytest.mark.slow
def test_a_job_of_two_processes_trains_one_model(pairs: Path, context: Callable[..., Any]) -> None:
    """The further process reads the data for itself and draws the other half of every batch."""
    place = context()
    two = train_job.run(spec_of(pairs, processes=2), place)
    one = train_job.run(spec_of(pairs, name="one", overrides={**SETTINGS, "batch": 2}), context("j2"))
    assert place.registry.get(two.model).training["processes"] == 2
    weights = [place.registry.load(result.model).network.state_dict() for result in (two, one)]
    for name, value in weights[0].items():
        torch.testing.assert_close(value.float(), weights[1][name].float(), rtol=5e-3, atol=2e-3)
