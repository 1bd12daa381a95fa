"""Training from files to a package that the registry serves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from noyau.domain.errors import InvalidInput, JobCancelled, NotFound
from noyau.domain.progress import SilentReporter
from noyau.models.registry import ModelRegistry
from noyau.pipelines.train import LOG_NAME, PACKAGE_FOLDER, run_training
from noyau.training.config import TrainConfig

NETWORK = {
    "ndim": 2,
    "offset_scale": 4.0,
    "levels": [
        {"channels": 4, "stride": [1, 1], "down": [[3, 3]], "up": [[3, 3]]},
        {"channels": 6, "stride": [2, 2], "down": [[3, 3]]},
    ],
}


class Recorder(SilentReporter):
    def __init__(self) -> None:
        self.stages: list[str] = []
        self.metrics: dict[str, float] = {}

    def stage(self, name: str) -> None:
        self.stages.append(name)

    def metric(self, name: str, value: float) -> None:
        self.metrics[name] = value


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "pairs"
    folder.mkdir()
    for name in ("a_1", "a_2", "b_1"):
        labels = np.zeros((40, 40), np.uint16)
        labels[8:20, 8:20], labels[24:34, 22:36] = 1, 2
        image = np.random.default_rng(len(name)).poisson(50 + 100 * (labels > 0)).astype(np.uint8)
        np.savez(folder / f"{name}.npz", image=image, labels=labels)
    return folder


def configure(data: Path, **changes: object) -> TrainConfig:
    values = {
        "name": "tiny-2d", "ndim": 2, "data": (str(data),), "out": data.parent / "run", "val": ("b_*",), "max_steps": 4,
        "patch": (32, 32), "batch": 1, "validate_every": 2, "threads": torch.get_num_threads(), "arguments": NETWORK,
    }  # fmt: skip
    return TrainConfig(**{**values, **changes})  # type: ignore[arg-type]


def test_a_run_leaves_a_package_a_log_and_the_split(data):
    reporter = Recorder()
    config = configure(data)
    result = run_training(config, reporter)
    assert result.step == 4
    assert reporter.stages == ["read", "train", "package"]
    assert 0 <= reporter.metrics["val/foreground_iou"] <= 1 and reporter.metrics["val/offset_error"] > 0
    split = json.loads((config.out / "split.json").read_text())
    assert split == {"train": ["pairs/a_1", "pairs/a_2"], "validation": ["pairs/b_1"], "synthetic": []}
    logged = [json.loads(line) for line in (config.out / LOG_NAME).read_text().splitlines()]
    assert {"val/foreground_iou", "val/offset_error"} <= {entry["name"] for entry in logged}
    loaded = ModelRegistry([config.out / PACKAGE_FOLDER]).load("tiny-2d@1")
    assert loaded.info.training["steps"] == 4 and loaded.info.voxel_size is None
    # The package stores float16; the prediction stays the same to that precision.
    x = torch.randn(1, 1, 32, 32)
    with torch.inference_mode():
        assert torch.allclose(loaded.network(x), result.network(x), atol=0.05)


def test_synthetic_pairs_are_made_once_and_reused(data):
    config = configure(data, synthetic_count=2, synthetic_fraction=0.5, max_steps=1)
    reporter = Recorder()
    run_training(config, reporter)
    made = sorted((config.out / "synthetic").glob("*.npz"))
    assert len(made) == 2 and reporter.stages[0] == "synthesise"
    before = [p.stat().st_mtime_ns for p in made]
    run_training(configure(data, synthetic_count=2, synthetic_fraction=0.5, max_steps=2, resume=True), reporter)
    assert [p.stat().st_mtime_ns for p in made] == before


def test_a_stopped_run_goes_on_where_it_was(data):
    class Impatient(Recorder):
        checks = 0

        def check(self) -> None:
            self.checks += 1
            if self.checks > 2:
                raise JobCancelled("enough")

    with pytest.raises(JobCancelled):
        run_training(configure(data), Impatient())
    assert not (configure(data).out / PACKAGE_FOLDER).exists()
    assert run_training(configure(data, resume=True), Recorder()).step == 4


def test_nothing_but_validation_images_is_an_error(data):
    with pytest.raises(InvalidInput, match="no pair to train on"):
        run_training(configure(data, val=("*",)), Recorder())


def test_absent_data_is_named(data):
    with pytest.raises(NotFound, match="elsewhere"):
        run_training(replace(configure(data), data=(str(data / "elsewhere"),)), Recorder())
