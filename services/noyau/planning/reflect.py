"""Reading outside an image: there the input is the reflection of the image at its border voxels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from noyau.domain.geometry import Box, Index3, as_index


def reflect_indices(start: int, stop: int, size: int) -> NDArray[np.intp]:
    """Indices inside [0, size) that the indices start..stop-1 stand for.

    Same rule as `numpy.pad(mode="reflect")`: the border voxel is not repeated and the pattern has the period
    2 (size - 1). An axis of one voxel repeats that voxel.

    Returns:
        Array of length stop - start.
    """
    if size == 1:
        return np.zeros(stop - start, np.intp)
    period = 2 * (size - 1)
    folded = np.arange(start, stop, dtype=np.intp) % period
    return np.minimum(folded, period - folded)


def read_reflected(read: Callable[[Box], np.ndarray], box: Box, shape: Index3) -> np.ndarray:
    """Reads a box that may leave the image, filling the outside with the reflection.

    Args:
        read: returns the z/y/x voxels of a box inside the image.
        box: the box wanted.
        shape: z/y/x voxels of the image.

    Returns:
        Array of shape `box.shape`. Only the smallest inner box that holds all needed voxels is read.
    """
    inner = box.clipped(shape)
    if inner == box:
        return read(box)
    maps = [reflect_indices(a, b, n) for a, b, n in zip(box.start, box.stop, shape, strict=True)]
    source = Box(as_index(int(m.min()) for m in maps), as_index(int(m.max()) + 1 for m in maps))
    block = read(source)
    local = [m - o for m, o in zip(maps, source.start, strict=True)]
    return block[np.ix_(*local)]
