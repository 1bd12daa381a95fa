"""Small pairs in every layout, drawn so that image and labels agree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

Scene = Callable[..., tuple[np.ndarray, np.ndarray]]


def draw_scene(seed: int, shape: tuple[int, ...] = (64, 72), count: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Bright ellipsoids on a noisy ground: image uint16, labels uint16."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint16)
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1)
    for label in range(1, count + 1):
        centre = rng.uniform(0.1, 0.9, len(shape)) * shape
        axes = rng.uniform(3.0, 6.0, len(shape))
        labels[((((grid - centre) / axes) ** 2).sum(-1) < 1) & (labels == 0)] = label
    image = rng.poisson(100 + 60 * rng.uniform(0.6, 2.5, count + 1)[labels] * (labels > 0)).astype(np.uint16)
    return image, labels


@pytest.fixture
def scene() -> Scene:
    """See `draw_scene`."""
    return draw_scene


@pytest.fixture
def npz_folder(tmp_path: Path) -> Path:
    """Six good pairs `e1_t1` ... `e3_t2`."""
    folder = tmp_path / "set"
    folder.mkdir()
    for index, name in enumerate(f"e{e}_t{t}" for e in (1, 2, 3) for t in (1, 2)):
        image, labels = draw_scene(index)
        np.savez_compressed(folder / f"{name}.npz", image=image, labels=labels)
    return folder


@pytest.fixture
def tiff_folder(tmp_path: Path) -> Path:
    """Three pairs in `images/` and `masks/`."""
    folder = tmp_path / "tiffs"
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for index in range(3):
        image, labels = draw_scene(index)
        tifffile.imwrite(folder / "images" / f"a{index}.tif", image)
        tifffile.imwrite(folder / "masks" / f"a{index}.tif", labels)
    return folder
