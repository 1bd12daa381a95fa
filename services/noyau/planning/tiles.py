"""Which tile to take when the caller does not say."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from noyau.domain.geometry import Index3, as_index
from noyau.planning.grid import Grid, plan_grid


def choose_tile(shape: Sequence[int], halo: Sequence[int], stride: Sequence[int], window_voxels: int) -> Index3:
    """The tile core with the least work whose window stays within a number of voxels.

    A halo costs most where tiles are small, so axes are halved only as far as the memory demands, and always the
    axis whose halving adds the least work.

    Args:
        shape: z/y/x voxels on the model's grid.
        halo, stride: of the model, z/y/x.
        window_voxels: largest window that fits the device.

    Returns:
        Core z/y/x, multiples of the stride.
    """
    parts = [1, 1, 1]
    grid = _grid(shape, halo, stride, parts)
    while prod(grid.window) > window_voxels:
        candidates = []
        for axis in range(3):
            more = [p + (i == axis) for i, p in enumerate(parts)]
            finer = _grid(shape, halo, stride, more)
            if finer.window[axis] < grid.window[axis]:
                candidates.append((finer.work / (prod(grid.window) / prod(finer.window)) ** 0.5, axis, more, finer))
        if not candidates:
            break
        _, _, parts, grid = min(candidates, key=lambda c: c[:2])
    return _core(shape, halo, stride, parts)


def _core(shape: Sequence[int], halo: Sequence[int], stride: Sequence[int], parts: Sequence[int]) -> Index3:
    """The core that cuts the axes into the given numbers of parts."""
    whole = plan_grid(shape, [max(1, n) for n in shape], halo, stride)
    cores = []
    for axis, count in enumerate(parts):
        length, s, h = whole.window[axis], stride[axis], whole.halo[axis]
        if count == 1:
            cores.append(length)
        else:
            cores.append(max(s, -(-(length - 2 * h) // (count * s)) * s))
    return as_index(cores)


def _grid(shape: Sequence[int], halo: Sequence[int], stride: Sequence[int], parts: Sequence[int]) -> Grid:
    return plan_grid(shape, _core(shape, halo, stride, parts), halo, stride)
