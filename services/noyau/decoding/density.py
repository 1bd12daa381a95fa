"""Density of votes: how much of a nucleus points at a voxel, smoothed by an integer binomial kernel."""

from __future__ import annotations

from math import ceil, comb, prod

import numpy as np

from noyau.decoding.votes import Votes
from noyau.domain.geometry import Index3
from noyau.domain.model import VoteParams

INT32_MAX = 2**31 - 1


def accumulate(votes: Votes) -> np.ndarray:
    """Sum of the weights of the votes for each voxel, an integer array (Z, Y, X), int32 where that is sure to do."""
    kind = np.int32 if 255 * votes.voxel.size <= INT32_MAX else np.int64
    density = np.zeros(votes.landing.voxels, kind)
    np.add.at(density, votes.target, votes.weight.astype(kind))
    return density.reshape(votes.landing.shape)


def smooth(density: np.ndarray, radii: Index3) -> np.ndarray:
    """Convolution with (1, 2, 1), r times along each axis, zero outside at each step.

    Away from the border that is row 2r of Pascal's triangle. The kernel is not normalised (its sum is 4**r per
    axis), so the result stays an exact integer. It is int32 where that is sure to hold the sums, int64 elsewhere;
    the values are the same. Works plane by plane, in the processor's cache.

    Args:
        density: integer (Z, Y, X); may be overwritten.
        radii: number of passes per axis z/y/x.
    """
    room = int(density.max(initial=0)) * 4 ** sum(radii)
    result = density.astype(np.int32 if room <= INT32_MAX else np.int64, copy=False)
    for plane in result:
        _smooth_plane(plane, radii[1], radii[2])
    for _ in range(radii[0]):
        _smooth_z(result)
    return result


def kernel_radii(params: VoteParams, full_shape: Index3) -> Index3:
    """Radius of the kernel per axis, 0 along an axis of which the image has one voxel."""
    z, y, x = (r if n > 1 else 0 for r, n in zip(params.smooth, full_shape, strict=True))
    return (z, y, x)


def mass_threshold(params: VoteParams, full_shape: Index3) -> int:
    """Smallest smoothed density of a centre.

    A mass of n voxels is what n voxels of full foreground give that all vote for one voxel.
    """
    peak = prod(comb(2 * radius, radius) for radius in kernel_radii(params, full_shape))
    return max(1, ceil(params.seed_mass * 255 * peak))


def _smooth_plane(plane: np.ndarray, y_passes: int, x_passes: int) -> None:
    if not plane.any():
        return
    for view, passes in ((plane, y_passes), (plane.T, x_passes)):
        for _ in range(passes):
            before = view.copy(order="K")
            view *= 2
            view[1:] += before[:-1]
            view[:-1] += before[1:]


def _smooth_z(volume: np.ndarray) -> None:
    above = np.zeros_like(volume[:1])[0]
    for z, plane in enumerate(volume):
        before = plane.copy()
        plane *= 2
        plane += above
        if z + 1 < len(volume):
            plane += volume[z + 1]
        above = before
