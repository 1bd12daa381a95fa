"""Fine-tuned weights that keep a share of their parent's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from noyau.domain.errors import InvalidInput
from noyau.domain.progress import SilentReporter
from noyau.models.package import read_package
from noyau.pipelines.train import PACKAGE_FOLDER, run_training
from noyau.training.config import TrainConfig


@pytest.fixture
def settings(pairs_folder: Path, tmp_path: Path, tiny_network: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "tiny", "ndim": 2, "data": (str(pairs_folder),), "max_steps": 3, "patch": (32, 32), "batch": 1,
        "warmup": 1, "arguments": tiny_network, "threads": torch.get_num_threads(), "lr": 1e-2, "ema": 0.5,
    }  # fmt: skip


def test_half_of_the_parent_is_the_mean_of_parent_and_child(settings: dict[str, Any], tmp_path: Path) -> None:
    run_training(TrainConfig(**settings, out=tmp_path / "parent"), SilentReporter())
    parent = tmp_path / "parent" / PACKAGE_FOLDER / "tiny" / "1"
    tuned = {
        share: run_training(
            TrainConfig(**settings, out=tmp_path / f"child{share}", parent=parent, parent_share=share, seed=1),
            SilentReporter(),
        ).network.state_dict()
        for share in (0.0, 0.5)
    }
    moved = False
    for name, before in read_package(parent).network.state_dict().items():
        if before.is_floating_point():
            torch.testing.assert_close(tuned[0.5][name], (before + tuned[0.0][name]) / 2)
            moved = moved or not torch.allclose(before, tuned[0.0][name], atol=1e-3)
    assert moved
    assert read_package(tmp_path / "child0.5" / PACKAGE_FOLDER / "tiny" / "1").info.training["parent_share"] == 0.5


def test_a_share_of_no_parent_or_of_another_network_is_refused_before_a_step(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match="no parent"):
        run_training(TrainConfig(**settings, out=tmp_path / "none", parent_share=0.5), SilentReporter())
    run_training(TrainConfig(**settings, out=tmp_path / "parent"), SilentReporter())
    parent = tmp_path / "parent" / PACKAGE_FOLDER / "tiny" / "1"
    levels = [{**level, "channels": level["channels"] + 2} for level in settings["arguments"]["levels"]]
    wider = {**settings, "arguments": {**settings["arguments"], "levels": levels}}
    with pytest.raises(InvalidInput, match="another shape"):
        run_training(TrainConfig(**wider, out=tmp_path / "wide", parent=parent, parent_share=0.5), SilentReporter())
    assert not (tmp_path / "wide" / "checkpoint.pt").exists()
    with pytest.raises(InvalidInput, match="not between 0 and 1"):
        TrainConfig(**settings, out=tmp_path, parent_share=1.0)
