"""A few tiny pairs and a tiny network, so that a training run takes a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

TINY_NETWORK = {
    "ndim": 2,
    "offset_scale": 4.0,
    "levels": [
        {"channels": 6, "stride": [1, 1], "down": [[3, 3]], "up": [[3, 3]]},
        {"channels": 8, "stride": [2, 2], "down": [[3, 3]], "residual": True},
    ],
}


@pytest.fixture
def tiny_network() -> dict:
    return TINY_NETWORK


@pytest.fixture
def pairs_folder(tmp_path: Path) -> Path:
    """Six 2D pairs with bright discs, named `e1_t1` ... `e3_t2`."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    grid = np.stack(np.meshgrid(np.arange(48), np.arange(48), indexing="ij"), -1)
    for index, name in enumerate(f"e{e}_t{t}" for e in (1, 2, 3) for t in (1, 2)):
        rng = np.random.default_rng(index)
        labels = np.zeros((48, 48), np.uint16)
        for label, centre in enumerate(((12, 12), (34, 14), (16, 36), (36, 36)), start=1):
            labels[((grid - centre - rng.integers(-3, 4, 2)) ** 2).sum(-1) < rng.integers(20, 64)] = label
        image = rng.poisson(100 + 200 * (labels > 0)).astype(np.uint16)
        np.savez(folder / f"{name}.npz", image=image, labels=labels)
    return folder
