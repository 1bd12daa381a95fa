"""Resolution pyramids: which levels there are, and filling a level from the one before, box by box."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np
import tensorstore as ts

from noyau.domain.geometry import Box, Index3
from noyau.storage.arrays import read_pixels, write_pixels

SMALL = 256
"""A level whose planes are at most this long in y and x needs no coarser one."""
MAX_LEVELS = 10
Reduce = Callable[[np.ndarray, Index3], np.ndarray]


def plan_steps(shape: Index3, spacing: Sequence[float]) -> list[Index3]:
    """Downsampling steps z/y/x from each level to the next; empty for a small image.

    y and x are halved until the planes are small; z is halved along once a voxel is no longer much higher than wide,
    so that coarse levels become isotropic.

    Args:
        shape: z/y/x of the finest level.
        spacing: relative voxel size z/y/x.
    """
    steps: list[Index3] = []
    z, y, x = shape
    high, wide = float(spacing[0]), float(min(spacing[1], spacing[2]))
    while max(y, x) > SMALL and len(steps) < MAX_LEVELS - 1:
        step = (2 if z > 16 and high <= 1.5 * wide else 1, 2 if y > 1 else 1, 2 if x > 1 else 1)
        steps.append(step)
        z, y, x = coarser((z, y, x), step)
        high, wide = high * step[0], wide * 2
    return steps


def coarser(shape: Index3, step: Index3) -> Index3:
    """Shape of the next level: a part of a block at the far edge counts as a voxel, so that nothing is cut off."""
    z, y, x = (-(-n // f) for n, f in zip(shape, step, strict=True))
    return (z, y, x)


def reduce_mean(block: np.ndarray, step: Index3) -> np.ndarray:
    """Block means (rounded for integers, majority for bool); the far edge is repeated to fill its blocks."""
    if step == (1, 1, 1):
        return block
    pad = [(0, -n % f) for n, f in zip(block.shape, step, strict=True)]
    full = np.pad(block, pad, mode="edge") if any(p[1] for p in pad) else block
    exact = np.float32 if block.dtype.itemsize <= 2 else np.float64
    z, y, x = (n // f for n, f in zip(full.shape, step, strict=True))
    total = np.zeros((z, y, x), exact)
    for dz, dy, dx in product(*(range(f) for f in step)):
        total += full[dz :: step[0], dy :: step[1], dx :: step[2]]
    total /= step[0] * step[1] * step[2]
    if block.dtype.kind == "b":
        return total >= 0.5
    return total.astype(block.dtype) if block.dtype.kind == "f" else np.rint(total).astype(block.dtype)


def reduce_first(block: np.ndarray, step: Index3) -> np.ndarray:
    """The first voxel of every block: for labels, whose numbers must survive."""
    return np.ascontiguousarray(block[:: step[0], :: step[1], :: step[2]])


def boxes(shape: Index3, unit: Index3) -> Iterator[Box]:
    """Boxes of the given size that cover a volume, in raster order; the last of an axis may be smaller."""
    for z, y, x in product(*(range(0, n, u) for n, u in zip(shape, unit, strict=True))):
        yield Box((z, y, x), (z + unit[0], y + unit[1], x + unit[2])).clipped(shape)


def volume_view(array: ts.TensorStore, axes: str, time: int, channel: int) -> ts.TensorStore:
    """A lazy z/y/x (or y/x) view of one time point of one channel of an array in any axis order."""
    order = [axes.index(name) for name in "tczyx" if name in axes]
    outer = tuple(index for name, index in (("t", time), ("c", channel)) if name in axes)
    view = array.transpose(order)
    return view[outer] if outer else view


def box_view(view: ts.TensorStore, box: Box) -> ts.TensorStore:
    """The part of a volume view inside a box; a view without z has one plane."""
    return view[box.slices] if view.rank == 3 else view[box.slices[1:]]


def read_box(view: ts.TensorStore, box: Box, what: str) -> np.ndarray:
    """Pixels of a box, always z/y/x."""
    return read_pixels(box_view(view, box), what).reshape(box.shape)


def write_box(view: ts.TensorStore, box: Box, pixels: np.ndarray, what: str) -> None:
    """Writes z/y/x pixels into a box and waits until they are stored."""
    part = box_view(view, box)
    write_pixels(part, pixels.reshape(part.shape), what)


def fill_level(
    source: ts.TensorStore,
    target: ts.TensorStore,
    axes: str,
    step: Index3,
    reduce: Reduce,
    *,
    unit: Index3,
    what: str,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Computes a level from the one before it.

    Args:
        source, target: arrays of the two levels, in the same stored axis order.
        axes: that order.
        step: how many source voxels z/y/x make one of the target.
        reduce: `reduce_mean` or `reduce_first`.
        unit: z/y/x of the boxes of the target that are written at once (whole chunks or shards).
        what: name for error messages.
        check: called before every box; raises to stop.
    """

    def length(array: ts.TensorStore, name: str) -> int:
        return int(array.shape[axes.index(name)]) if name in axes else 1

    fine = (length(source, "z"), length(source, "y"), length(source, "x"))
    coarse = (length(target, "z"), length(target, "y"), length(target, "x"))
    for time, channel in product(range(length(target, "t")), range(length(target, "c"))):
        from_view, to_view = (volume_view(array, axes, time, channel) for array in (source, target))
        for box in boxes(coarse, unit):
            check()
            wide = Box(_times(box.start, step), _times(box.stop, step)).clipped(fine)
            write_box(to_view, box, reduce(read_box(from_view, wide, what), step), what)


def _times(index: Index3, step: Index3) -> Index3:
    z, y, x = (i * f for i, f in zip(index, step, strict=True))
    return (z, y, x)
