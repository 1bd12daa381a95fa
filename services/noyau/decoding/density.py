"""Density of votes: how much of a nucleus points at a voxel, smoothed by a binomial kernel in integers."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, comb, prod

import numpy as np

from noyau.decoding.votes import Votes
from noyau.domain.geometry import Index3
from noyau.domain.model import VoteParams

INT32_MAX = 2**31 - 1

SCALE = 16
"""Density of one vote of weight 1: rounding while smoothing then costs next to nothing."""


def accumulate(votes: Votes, max_offset: Index3) -> np.ndarray:
    """Sum of the weights of the votes for each voxel times `SCALE`, an integer array (Z, Y, X).

    It is int32 where that is sure to hold everything that `smooth` makes of it, int64 elsewhere; the values are the
    same.
    """
    most = prod(min(n, 2 * min(127, m) + 1) for n, m in zip(votes.block.shape, max_offset, strict=True))
    kind = np.int32 if 8 * 255 * SCALE * most <= INT32_MAX else np.int64
    density = np.zeros(votes.landing.voxels, kind)
    np.add.at(density, votes.target, np.multiply(votes.weight, SCALE, dtype=kind))
    return density.reshape(votes.landing.shape)


def smooth(density: np.ndarray, radii: Index3) -> np.ndarray:
    """Convolution with (1, 2, 1) / 4, r times along y, x and z, rounded to integers and zero outside at each step.

    Before rounding that is row 2r of Pascal's triangle divided by 4**r. Every step is exact integer arithmetic on
    a voxel and its two neighbours, so the result does not depend on the block. Works in place and plane by plane, in
    the processor's cache.

    Args:
        density: integer (Z, Y, X); overwritten.
        radii: number of steps per axis z/y/x.
    """
    for plane in density:
        if plane.any():
            for view, steps in ((plane, radii[1]), (plane.T, radii[2])):
                _smooth_plane(view, steps)
    for _ in range(radii[0]):
        _smooth_z(density)
    return density


def kernel_radii(params: VoteParams, full_shape: Index3) -> Index3:
    """Radius of the kernel per axis, 0 along an axis of which the image has one voxel."""
    z, y, x = (r if n > 1 else 0 for r, n in zip(params.smooth, full_shape, strict=True))
    return (z, y, x)


def mass_threshold(params: VoteParams, full_shape: Index3) -> int:
    """Smallest smoothed density of a centre.

    A mass of n voxels is what n voxels of full foreground give that all vote for one voxel.
    """
    radii = kernel_radii(params, full_shape)
    peak = Fraction(prod(comb(2 * r, r) for r in radii), 4 ** sum(radii))
    return max(1, ceil(Fraction(params.seed_mass) * 255 * SCALE * peak))


def _smooth_plane(plane: np.ndarray, steps: int) -> None:
    """`steps` steps along the first axis of a plane."""
    for _ in range(steps):
        before = plane.copy(order="K")
        plane *= 2
        plane[1:] += before[:-1]
        plane[:-1] += before[1:]
        _quarter(plane)


def _smooth_z(volume: np.ndarray) -> None:
    """One step along z."""
    above = np.zeros_like(volume[:1])[0]
    for z, plane in enumerate(volume):
        before = plane.copy()
        plane *= 2
        plane += above
        if z + 1 < len(volume):
            plane += volume[z + 1]
        _quarter(plane)
        above = before


def _quarter(values: np.ndarray) -> None:
    """A quarter, rounded, of values that are not negative."""
    values += 2
    values >>= 2
