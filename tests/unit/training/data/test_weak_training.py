"""Points, boxes and partial labels of a new kind of image make a model better at it than leaving them out.

The labelled images show bright nuclei. The new images show dim ones among brighter debris, of which a model that saw
bright nuclei only takes the debris for nuclei.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from noyau.domain.model import Normalisation
from noyau.domain.progress import SilentReporter
from noyau.training.batches import BatchSource
from noyau.training.config import AugmentConfig, TrainConfig
from noyau.training.data.facts import Facts
from noyau.training.data.preparing import prepare
from noyau.training.data.values import Pixels, Sample
from noyau.training.dataset import Pair
from noyau.training.loop import Loop
from noyau.training.targets import find_objects
from noyau.training.validation import crop_figures

SIZE = 64
PLAIN = AugmentConfig(zoom_wide_share=0.0, zoom_sd=0.05, zoom_axis=0.05, gain=0.2, blur=0.0, noise=0.2, empty=0.0)
PARAMS = Normalisation(low=25.0, high=99.8)
Picture = tuple[np.ndarray, np.ndarray]


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def discs(rng: np.random.Generator, count: int, radius: float, taken: np.ndarray) -> np.ndarray:
    """Labels of discs that do not touch each other or what is taken."""
    labels = np.zeros((SIZE, SIZE), np.uint16)
    rows, columns = np.indices(labels.shape)
    while labels.max() < count:
        y, x = rng.integers(8, SIZE - 8, 2)
        near = (rows - y) ** 2 + (columns - x) ** 2 <= (radius + 2) ** 2
        if not ((labels > 0) | taken)[near].any():
            labels[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = labels.max() + 1
    return labels


def bright_nuclei(seed: int) -> Picture:
    rng = np.random.default_rng(seed)
    labels = discs(rng, 7, 5.5, np.zeros((SIZE, SIZE), bool))
    return rng.poisson(60 + 240 * (labels > 0)).astype(np.uint16), labels


def dim_nuclei_among_debris(seed: int) -> Picture:
    rng = np.random.default_rng(100 + seed)
    labels = discs(rng, 5, 6.5, np.zeros((SIZE, SIZE), bool))
    debris = discs(rng, 8, 2.5, labels > 0)
    return rng.poisson(60 + 70 * (labels > 0) + 240 * (debris > 0)).astype(np.uint16), labels


def pair_of(image: np.ndarray, facts: Facts | None = None, **annotation: object) -> Pair:
    given = {k: Pixels(v) if k == "labels" else v for k, v in annotation.items()}
    ready = prepare(Sample(Pixels(image), **given), "made", 2, facts or Facts())  # type: ignore[arg-type]
    low, high = np.percentile(ready.image, [PARAMS.low, PARAMS.high])
    objects = ready.objects or find_objects(ready.labels)
    return Pair("made", ready.image, ready.labels, float(low), float(high), objects, ready.known, ready.kind)


def annotated(kind: str, seed: int) -> Pair:
    """A new image with labels, points, boxes, or labels of its left half."""
    image, labels = dim_nuclei_among_debris(seed)
    objects = find_objects(labels)
    if kind == "points":
        return pair_of(image, Facts(complete=True, radius=6.0), points=objects.centres)
    if kind == "boxes":
        corners = [np.argwhere(labels == i) for i in objects.ids]
        return pair_of(image, boxes=np.array([[*c.min(0), *(c.max(0) + 1)] for c in corners]))
    if kind == "partial":
        signed = labels.astype(np.int32)
        signed[:, SIZE // 2 :] = -1
        return pair_of(image, labels=signed)
    return pair_of(image, labels=labels)


@pytest.fixture
def figures(tmp_path: Path, tiny_network: dict):
    """Foreground IoU and offset error on new images, after training on some pairs."""

    def train(pairs: list[Pair]) -> dict[str, float]:
        config = TrainConfig(
            name="weak", ndim=2, data=(), out=tmp_path, max_steps=80, batch=4, patch=(48, 48), warmup=5, lr=6e-3,
            ema=0.9, arguments=tiny_network, augment=PLAIN, normalisation=PARAMS, checkpoint_minutes=60.0,
        )  # fmt: skip
        network = Loop(config, BatchSource(config, pairs), SilentReporter()).run().network
        unseen = [annotated("labels", 50 + seed) for seed in range(3)]
        return crop_figures(network, BatchSource(config, unseen).fixed_crops(6))

    return train


def test_weak_annotation_of_new_images_helps(figures) -> None:
    labelled = [pair_of(image, labels=labels) for image, labels in map(bright_nuclei, range(3))]
    without = figures(labelled)
    assert without["foreground_iou"] < 0.5
    for kind in ("points", "boxes", "partial"):
        helped = figures(labelled + [annotated(kind, seed) for seed in range(3)])
        assert helped["foreground_iou"] > without["foreground_iou"] + 0.2, kind
        assert helped["offset_error"] < 0.8 * without["offset_error"], kind
