"""Centres of nuclei: local maxima of the smoothed density of votes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noyau.domain.geometry import Box, Index3, as_index

# How many voxels one step of the suppression looks at, to bound its memory.
_STEP = 1 << 20


@dataclass(frozen=True)
class Centres:
    """Centres in ascending order of their ids.

    Attributes:
        position: global index, int64 (N, 3) z/y/x.
        identity: 1 + raster index of the centre's voxel in the image, int64 (N,). Names the nucleus everywhere.
        mass: smoothed density at the centre, int64 (N,), in units of the kernel (see density.mass_threshold).
    """

    position: np.ndarray
    identity: np.ndarray
    mass: np.ndarray

    def within(self, box: Box) -> Centres:
        """The centres inside a box of global indices."""
        keep = ((self.position >= box.start) & (self.position < box.stop)).all(axis=1)
        return Centres(self.position[keep], self.identity[keep], self.mass[keep])


def identities(position: np.ndarray, full_shape: Index3) -> np.ndarray:
    """1 + raster index in the image of global positions (N, 3), int64."""
    z, y, x = position.astype(np.int64).T
    index: np.ndarray = (z * full_shape[1] + y) * full_shape[2] + x + 1
    return index


def find_peaks(density: np.ndarray, origin: Index3, full_shape: Index3, threshold: int, nms: Index3) -> Centres:
    """Voxels with at least the threshold that no voxel of their window beats.

    A voxel beats another with a larger density, or with the same density and a smaller raster index. Only voxels
    above the threshold are looked at, so the cost follows the number of nuclei, not the size of the block.

    Args:
        density: smoothed density of the block, integer (Z, Y, X).
        origin: global index of the block's first voxel.
        full_shape: z/y/x of the image.
        threshold: smallest density of a centre, >= 1.
        nms: radius of the window per axis.
    """
    flat = density.reshape(-1)
    shape = as_index(density.shape)
    alive = np.flatnonzero(flat >= threshold)
    offsets = window(nms)
    start = 0
    while alive.size and start < len(offsets):
        stop = start + max(1, _STEP // alive.size)
        alive = alive[~_beaten(flat, shape, alive, offsets[start:stop])]
        start = stop
    position = np.stack(np.unravel_index(alive, shape), axis=1).astype(np.int64) + np.array(origin, np.int64)
    return Centres(position, identities(position, full_shape), flat[alive].astype(np.int64))


def window(nms: Index3) -> np.ndarray:
    """Offsets of the window without its middle, int64 (K, 3), the nearest first because they beat most."""
    axes = [np.arange(-radius, radius + 1) for radius in nms]
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = (offsets**2).sum(axis=1)
    order = np.argsort(distance, kind="stable")
    return offsets[order][1:]


def _beaten(flat: np.ndarray, shape: Index3, index: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Which of the voxels (flat indices) one of their neighbours at the offsets beats."""
    neighbour = np.zeros((index.size, len(offsets)), np.int64)
    for axis, position in enumerate(np.unravel_index(index, shape)):
        # Clipping leads to another voxel of the same window, or to the voxel itself, which beats nobody.
        moved = np.clip(position[:, None] + offsets[None, :, axis], 0, shape[axis] - 1)
        neighbour *= shape[axis]
        neighbour += moved
    theirs, own = flat[neighbour], flat[index][:, None]
    beaten = (theirs > own) | ((theirs == own) & (neighbour < index[:, None]))
    by_any: np.ndarray = np.logical_or.reduce(beaten, axis=1)
    return by_any
