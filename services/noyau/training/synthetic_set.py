"""A folder of synthetic training pairs that a training run makes for itself, the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from noyau.domain.geometry import Index3, VoxelSize
from noyau.domain.progress import Reporter
from noyau.training.synthetic.recipe import recipe_named
from noyau.training.synthetic.volume import generate

DEFAULT_RECIPES = {3: ("embryo", "wide", "embryo", "tissue"), 2: ("culture_2d", "wide")}
_SHAPES: dict[int, Index3] = {3: (40, 128, 128), 2: (1, 320, 320)}
_DEFAULT_VOXEL = VoxelSize(1.75, 0.8, 0.8)
# A 2D model works in pixels, so its training images come at many pixel sizes (micrometres, log-uniform).
_PIXEL_RANGE = (0.35, 1.1)


def make_synthetic_set(
    folder: Path,
    ndim: int,
    count: int,
    seed: int,
    reporter: Reporter,
    recipes: Sequence[str] = (),
    voxel_size: VoxelSize | None = None,
) -> list[Path]:
    """Writes `count` npz pairs (`image`, `labels`) and returns their paths; pairs that are there already are kept.

    Args:
        folder: where to write.
        ndim: 2 or 3.
        count: how many.
        seed: of the whole set; pair i depends on the seed and i only.
        reporter: told the progress, and asked whether to stop.
        recipes: names that alternate; empty takes the defaults of the dimension.
        voxel_size: of 3D images; None takes that of the shipped model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = tuple(recipes) or DEFAULT_RECIPES[ndim]
    paths = []
    for index in range(count):
        reporter.check()
        name = names[index % len(names)]
        path = folder / f"{name}_{seed}_{index:04d}.npz"
        if not path.exists():
            _write_pair(path, ndim, name, seed, index, voxel_size or _DEFAULT_VOXEL)
        paths.append(path)
        reporter.progress(index + 1, count, "image")
    return paths


def _write_pair(path: Path, ndim: int, recipe: str, seed: int, index: int, voxel_size: VoxelSize) -> None:
    rng = np.random.default_rng([seed, ndim, index])
    if ndim == 2:
        pixel = float(np.exp(rng.uniform(*np.log(_PIXEL_RANGE))))
        voxel_size = VoxelSize(1.0, pixel, pixel)
    made = generate(_SHAPES[ndim], voxel_size, int(rng.integers(2**31)), recipe_named(recipe))
    image, labels = (made.image, made.labels) if ndim == 3 else (made.image[0], made.labels[0])
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, image=image, labels=labels)
    partial.replace(path)
