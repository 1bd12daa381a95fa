"""Which tile to take when the caller does not say."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from noyau.domain.geometry import Index3, as_index
from noyau.planning.grid import plan_grid, round_up

FINER = 0.96
"""Ways to cut an axis whose windows differ by less are not told apart."""


@dataclass(frozen=True)
class _Cut:
    """One way to cut an axis: core, window, and voxels computed per voxel of the image along it."""

    core: int
    window: int
    work: float


def choose_tile(shape: Sequence[int], halo: Sequence[int], stride: Sequence[int], window_voxels: int) -> Index3:
    """The tile core with the least work whose window stays within a number of voxels.

    Halos cost most where windows are small, so of all ways to cut the axes evenly the one is taken that computes
    the fewest voxels; among equals the one with fewer cuts along z.

    Args:
        shape: z/y/x voxels on the model's grid.
        halo, stride: of the model, z/y/x.
        window_voxels: largest window that fits the device. Where even windows of the smallest core are larger, that
            core is taken.

    Returns:
        Core z/y/x, multiples of the stride.
    """
    axes = [_cuts(*of_axis) for of_axis in zip(shape, halo, stride, strict=True)]
    smallest_first = [cut.window for cut in reversed(axes[2])]
    best: tuple[float, Index3] | None = None
    for z, y in product(axes[0], axes[1]):
        fitting = bisect_right(smallest_first, window_voxels // (z.window * y.window))
        if fitting == 0:
            continue
        x = axes[2][-fitting]  # the largest window that fits, which is the least work along x
        work = z.work * y.work * x.work
        if best is None or work < best[0] * (1 - 1e-9):
            best = (work, (z.core, y.core, x.core))
    return best[1] if best else as_index(axis[-1].core for axis in axes)


def _cuts(size: int, halo: int, stride: int) -> list[_Cut]:
    """Ways to cut an axis evenly, from whole to as small as the stride; each with a smaller window than before."""
    whole = _cut(size, size, halo, stride)
    cuts = [whole]
    inner = whole.window - 2 * round_up(halo, stride)
    count = 1
    while (count := max(count + 1, int(count * (2 - FINER)))) <= inner // stride:
        found = _cut(size, round_up(-(-inner // count), stride), halo, stride)
        if found.window <= cuts[-1].window * FINER:
            cuts.append(found)
    return cuts


def _cut(size: int, core: int, halo: int, stride: int) -> _Cut:
    grid = plan_grid((1, 1, size), (1, 1, core), (0, 0, halo), (1, 1, stride))
    window, count = grid.window[2], grid.counts[2]
    return _Cut(round_up(core, stride), window, window * count / size)
