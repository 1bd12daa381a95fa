"""Images to measure with: one synthetic block repeated, so that any size is cheap to make and looks the same inside."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np

from noyau.domain.axes import Axes
from noyau.domain.geometry import Box, Index3, VoxelSize, as_index
from noyau.storage.arrays import create_array, plan_chunks, write_pixels
from noyau.storage.groups import write_group
from noyau.storage.multiscale import Level, Multiscale, build_multiscale
from noyau.storage.store import Store
from noyau.training.synthetic.recipe import Recipe
from noyau.training.synthetic.volume import SyntheticVolume, generate

BLOCK: Index3 = (64, 256, 256)
SLAB: Index3 = (64, 512, 512)
SEED = 1


def synthetic_block(voxel_size: VoxelSize) -> SyntheticVolume:
    """The block that images are made of: the widest recipe, a fixed seed."""
    return generate(BLOCK, voxel_size, SEED, Recipe.wide())


def shape_of(voxels: float) -> Index3:
    """A shape of about so many voxels, made of whole blocks in z and near a square in y and x."""
    planes = BLOCK[0] * max(1, round((voxels / 1e8) ** (1 / 3)))
    side = max(1, round((voxels / planes) ** 0.5 / BLOCK[1])) * BLOCK[1]
    return (planes, side, side)


def write_tiled(path: Path, block: np.ndarray, shape: Index3, voxel_size: VoxelSize) -> str:
    """Writes an OME-Zarr 0.5 image of one level that repeats a block; holds a few blocks in memory.

    Returns:
        The image's path as text.
    """
    store = Store(str(path))
    chunk, shard = plan_chunks(shape, "zyx", zarr_format=3)
    array = create_array(
        store, "0", zarr_format=3, shape=shape, dtype=block.dtype, chunk=chunk, shard=shard, names=list("zyx")
    )
    slab = np.tile(block, [-(-s // b) for s, b in zip(SLAB, block.shape, strict=True)])
    for start in product(*(range(0, n, s) for n, s in zip(shape, slab.shape, strict=True))):
        box = Box(as_index(start), as_index(a + n for a, n in zip(start, slab.shape, strict=True))).clipped(shape)
        write_pixels(array[box.slices], slab[Box.of(box.shape).slices], str(path))
    levels = (Level("0", tuple(voxel_size), (0.0, 0.0, 0.0)),)
    multiscale = Multiscale(Axes("zyx"), ("micrometer",) * 3, levels, path.stem)
    write_group(store, "", "0.5", {"multiscales": [build_multiscale(multiscale, "0.5")]})
    return str(path)
