"""Active learning all round: a model suggests crops, they are corrected, and the next model is trained on them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import NoyauError
from noyau.domain.geometry import VoxelSize
from noyau.domain.image import ImageRef
from noyau.domain.model import ModelInfo
from noyau.domain.training_jobs import SuggestSpec, TrainSpec
from noyau.inference.cache import BackendCache
from noyau.models.home import ModelHome
from noyau.models.networks import build
from noyau.models.package import write_package
from noyau.models.receptive_field import halo_for
from noyau.models.registry import ModelRegistry
from noyau.pipelines import suggest, train_job
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.pair_files import save_zarr
from noyau.training.data import RECORD_NAME

LEVELS = [
    {"channels": 4, "stride": [1, 1], "down": [[3, 3]], "up": [[3, 3]]},
    {"channels": 6, "stride": [2, 2], "down": [[3, 3]]},
]
ARGUMENTS = {"ndim": 2, "offset_scale": 4.0, "levels": LEVELS}


@pytest.fixture
def context(tmp_path: Path) -> PipelineContext:
    torch.manual_seed(0)
    network = build("vote-unet", ARGUMENTS)
    y, x = halo_for(network)
    info = ModelInfo(
        "tiny", "1", "", 2, "vote-unet", ARGUMENTS, None, 12.0, (0, y, x), (1, *network.total_stride), (1, 64, 64)
    )
    write_package(tmp_path / "packages" / "tiny" / "1", info, network.state_dict(), "# tiny")
    registry = ModelRegistry([tmp_path / "packages"], ModelHome(str(tmp_path / "models"), tmp_path / "cache"))
    return PipelineContext(registry, AccessPolicy.everything(), tmp_path / "work", BackendCache(threads=1), threads=1)


def field(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Bright squares and their labels, (1, 64, 64)."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((1, 64, 64), np.uint32)
    for number, (y, x) in enumerate(((4, 4), (4, 38), (36, 6), (38, 40)), start=1):
        dy, dx = rng.integers(0, 10, 2)
        labels[0, y + dy : y + dy + 12, x + dx : x + dx + 12] = number
    return rng.poisson(100 + 400 * (labels > 0)).astype(np.uint16), labels


def test_corrected_suggestions_are_a_dataset_for_the_next_training(tmp_path: Path, context: PipelineContext) -> None:
    truth = {}
    for seed in range(4):
        image, labels = field(seed)
        place = str(tmp_path / f"field{seed}.ome.zarr")
        save_zarr(
            place, image, np.zeros_like(labels), VoxelSize(1.0, 0.5, 0.5),
            group="none", ngff="0.5", overwrite=False, access=context.access,
        )  # fmt: skip
        truth[place] = labels[0]
    asked = SuggestSpec(tuple(ImageRef(p) for p in truth), str(tmp_path / "todo"), model="tiny", count=3)
    suggested = suggest.run(asked, context)
    with Path(suggested.files[0]).open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 and suggested.model == "tiny@1"

    wanted = TrainSpec("tiny-better", (str(tmp_path / "todo"),), "tiny", mode="finetune", steps=2, device="cpu")
    if all(float(row["nuclei"]) == 0 for row in rows):  # an untrained network finds nothing, so nothing is labelled
        with pytest.raises(NoyauError, match="label"):
            train_job.run(wanted, context)
    for row in rows:
        corrected = zarr.open_array(tmp_path / "todo" / row["file"] / "labels" / "nuclei" / "0", mode="r+")
        corrected[...] = truth[row["image"]]
    trained = train_job.run(wanted, context)
    assert trained.models == ("tiny-better@1",)
    info = context.registry.get("tiny-better")
    assert info.parent == "tiny@1"
    record = (context.registry.folder(info.ref) / RECORD_NAME).read_text()
    assert all(row["file"].removesuffix(".ome.zarr") in record for row in rows)
