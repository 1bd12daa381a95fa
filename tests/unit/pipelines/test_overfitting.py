"""Every decoder, and every network, learns two small crops by heart: what it is taught is what finds nuclei."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from noyau.domain.intensity import percentiles
from noyau.domain.model import Normalisation
from noyau.domain.progress import SilentReporter
from noyau.pipelines.train_validation import image_validator
from noyau.training.batches import BatchSource
from noyau.training.config import AugmentConfig, TrainConfig
from noyau.training.dataset import Pair
from noyau.training.export import describe
from noyau.training.fingerprint import take_fingerprint
from noyau.training.loop import Loop
from noyau.training.objectives import NAMES
from noyau.training.targets import find_objects

SIDE = 64
NORMALISATION = Normalisation(low=25.0, high=99.8)
CALM = AugmentConfig(
    zoom_wide_share=0.0, zoom_sd=0.04, zoom_axis=0.02, gain=0.1, offset=0.01, gamma=0.0, blur=0.0, bias_field=0.0,
    attenuation=0.0, noise=0.0, empty=0.0,
)  # fmt: skip
FLAT = {"down": [[3, 3]], "up": [[3, 3]]}
NETWORKS: dict[str, dict[str, Any]] = {
    "vote-unet": {
        "levels": [
            {"channels": 12, "stride": [1, 1], **FLAT},
            {"channels": 16, "stride": [2, 2], **FLAT},
            {"channels": 24, "stride": [2, 2], **FLAT},
            {"channels": 24, "stride": [2, 2], "down": [[3, 3]], "residual": True},
        ]
    },
    "unet": {"widths": [8, 16, 24], "strides": [[2, 2]] * 2},
    "residual-unet": {"width": 8, "blocks": [1, 1, 1]},
    "swin-unetr": {"width": 12},
}
# Those with more to answer take longer; the transformer is slow, and quick to learn.
STEPS = {"vote": 150, "border": 250, "star": 300, "flow": 150, "unet": 80, "residual-unet": 80, "swin-unetr": 100}


def crop(seed: int) -> Pair:
    """Four ellipses of different brightness, some of them touching."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((SIDE, SIDE), np.uint16)
    y, x = np.indices(labels.shape)
    for number, corner in enumerate(np.ndindex(2, 2), start=1):
        middle = 18 + 28 * np.array(corner) + rng.uniform(-3, 3, 2)
        long, short, angle = rng.uniform(10, 14), rng.uniform(8, 10), rng.uniform(0, np.pi)
        u = (y - middle[0]) * np.cos(angle) + (x - middle[1]) * np.sin(angle)
        v = (x - middle[1]) * np.cos(angle) - (y - middle[0]) * np.sin(angle)
        labels[((u / long) ** 2 + (v / short) ** 2 < 1) & (labels == 0)] = number
    bright = np.concatenate([[0.0], rng.uniform(100, 200, 4)])
    image = rng.poisson(80 + bright[labels]).astype(np.uint16)
    low, high = percentiles(image, NORMALISATION)
    return Pair(f"crops/{seed}", image, labels, low, high, find_objects(labels))


def figures(out: Path, decoder: str, architecture: str, steps: int) -> dict[str, float]:
    """F1 on two crops after so many steps on these very crops."""
    pairs = [crop(0), crop(1)]
    config = TrainConfig(
        name="heart", ndim=2, data=(), out=out, max_steps=steps, patch=(SIDE, SIDE), batch=2, warmup=10, threads=1,
        ema=1 - 10 / steps, decoder=decoder, architecture=architecture, augment=CALM, normalisation=NORMALISATION,
        arguments={"ndim": 2, "offset_scale": 12.0, **NETWORKS[architecture]},
    )  # fmt: skip
    network = Loop(config, BatchSource(config, pairs), SilentReporter()).run().network
    info = describe(config, network, "1", steps, 0.0, found=take_fingerprint(pairs))
    return dict(image_validator(pairs, info)(network, steps))


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.parametrize("decoder", NAMES)
def test_every_decoder_finds_what_its_network_was_taught(decoder: str, tmp_path: Path) -> None:
    found = figures(tmp_path, decoder, "vote-unet", STEPS[decoder])
    assert found["f1_50"] >= 0.8, found


@pytest.mark.slow
@pytest.mark.parametrize("architecture", [name for name in NETWORKS if name != "vote-unet"])
def test_every_network_can_be_taught(architecture: str, tmp_path: Path) -> None:
    found = figures(tmp_path, "vote", architecture, STEPS[architecture])
    assert found["f1_50"] >= 0.8, found
