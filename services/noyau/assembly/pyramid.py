"""The label pyramid: coarser levels that keep every n-th voxel, so that labels stay labels.

Level voxel i stands for full-resolution voxel i * factor. With the NGFF scale `voxel size * factor` and no
translation both have the same coordinate, hence a coarse label lies exactly where readers expect it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from noyau.domain.geometry import Box, Index3, VoxelSize, as_index

SMALLEST = 64
"""No further level once y and x are at most this long: the coarsest level is a thumbnail."""


@dataclass(frozen=True)
class Level:
    """One level of a label pyramid.

    Attributes:
        shape: z/y/x voxels.
        factor: full-resolution voxels per voxel of this level, z/y/x.
    """

    shape: Index3
    factor: Index3


def plan_levels(
    shape: Index3, voxel_size: VoxelSize | None = None, *, like: Sequence[Sequence[int]] | None = None
) -> tuple[Level, ...]:
    """Levels of a label pyramid, finest first; the first is the volume itself.

    Args:
        shape: z/y/x of the full resolution.
        voxel_size: micrometres z/y/x. z is halved only where that does not make voxels longer in z than in x and y
            already are; None takes z as it is with y and x.
        like: z/y/x shapes of the levels of the image that the labels belong to, finest first; the labels get
            the same factors, so that a viewer shows both at the same level.
    """
    if like is not None and len(like) > 0:
        return tuple(_level(shape, _factor_of(like[0], coarse)) for coarse in like)
    levels = [Level(shape, (1, 1, 1))]
    while max(levels[-1].shape[1:]) > SMALLEST and len(levels) < 12:
        step = _step(levels[-1], voxel_size)
        levels.append(_level(shape, as_index(f * s for f, s in zip(levels[-1].factor, step, strict=True))))
    return tuple(levels)


def coarse_box(box: Box, factor: Index3) -> Box:
    """The voxels of a level that the full-resolution voxels of a box stand for.

    The images of boxes that partition the volume partition the level.
    """
    return Box(
        as_index(-(-a // f) for a, f in zip(box.start, factor, strict=True)),
        as_index(-(-b // f) for b, f in zip(box.stop, factor, strict=True)),
    )


def fine_box(box: Box, factor: Index3, fine_shape: Index3) -> Box:
    """The voxels of a finer level that are needed for a box of a level `factor` times coarser."""
    grown = Box(
        as_index(a * f for a, f in zip(box.start, factor, strict=True)),
        as_index((b - 1) * f + 1 for b, f in zip(box.stop, factor, strict=True)),
    )
    return grown.clipped(fine_shape)


def downsample(labels: np.ndarray, origin: Index3, factor: Index3) -> np.ndarray:
    """The part of a coarser level that a block of labels gives; it belongs at `coarse_box` of the block.

    Args:
        labels: (Z, Y, X) of the finer level.
        origin: index in the finer level of the block's first voxel.
        factor: voxels of the finer level per voxel of the coarser one, z/y/x.
    """
    z, y, x = (slice(-o % f, None, f) for o, f in zip(origin, factor, strict=True))
    return labels[z, y, x]


def _level(shape: Index3, factor: Index3) -> Level:
    return Level(as_index(-(-n // f) for n, f in zip(shape, factor, strict=True)), factor)


def _factor_of(fine: Sequence[int], coarse: Sequence[int]) -> Index3:
    """Whole factors between two levels of an image, whichever way its writer rounded the shapes."""
    return as_index(max(1, round(f / max(1, c))) for f, c in zip(fine, coarse, strict=True))


def _step(level: Level, voxel_size: VoxelSize | None) -> Index3:
    if level.shape[0] == 1:
        return (1, 2, 2)
    if voxel_size is None:
        return (2, 2, 2)
    z, y, x = (v * f for v, f in zip(voxel_size, level.factor, strict=True))
    return (2, 2, 2) if z <= 1.5 * max(y, x) else (1, 2, 2)
