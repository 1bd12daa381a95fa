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
from noyau.models.networks import build
from noyau.models.registry import ModelRegistry
from noyau.pipelines.train import LOG_NAME, PACKAGE_FOLDER, run_training
from noyau.pipelines.train_validation import image_validator
from noyau.training.config import TrainConfig
from noyau.training.dataset import load_pair
from noyau.training.export import describe
from noyau.training.targets import make_targets

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
    assert {"val/f1_50", "val/f1_70", "val/seg"} <= set(reporter.metrics)
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


class Oracle(torch.nn.Module):
    """Answers as a perfect network would for one known image: bright is nucleus, offsets from the truth."""

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self.answer = torch.nn.Parameter(answer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = torch.full((1, 3, *x.shape[2:]), -20.0)
        halo = [(n - m) // 2 for n, m in zip(x.shape[2:], self.answer.shape[2:], strict=True)]
        out[..., halo[0] : halo[0] + 40, halo[1] : halo[1] + 40] = self.answer
        return out


def test_whole_image_validation_scores_a_perfect_network_with_one_and_a_blind_one_with_zero(data):
    config = configure(data)
    pair = load_pair(data / "a_1.npz", 2, config.normalisation)
    info = describe(config, build("vote-unet", NETWORK), "1", 0, 0.0)
    labels = torch.from_numpy(pair.labels.astype(np.int64))
    targets = make_targets(labels, pair.objects.ids, pair.objects.centres, pair.objects.radii, labels >= 0)
    perfect = torch.cat([(labels > 0).float()[None] * 40 - 20, targets.offsets])[None]
    validate = image_validator([pair], info)
    assert validate(Oracle(perfect), 1) == {"f1_50": 1.0, "f1_70": 1.0, "seg": 1.0}  # type: ignore[arg-type]
    blind = torch.full_like(perfect, -20.0)
    assert validate(Oracle(blind), 1) == {"f1_50": 0.0, "f1_70": 0.0, "seg": 0.0}  # type: ignore[arg-type]


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
