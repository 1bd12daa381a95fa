"""Assignment: each foreground voxel joins the centre that is nearest to the voxel it votes for."""

from __future__ import annotations

from math import isqrt

import numpy as np

from noyau.decoding.centres import Centres
from noyau.decoding.votes import Votes
from noyau.domain.geometry import Box, Index3
from noyau.domain.model import VoteParams

# How many voxels of balls are painted in one step, to bound memory.
_STEP = 1 << 21


def reach(params: VoteParams) -> Index3:
    """How far from its centre a vote may land along each axis, voxels."""
    z, y, x = (isqrt(params.radius**2 // max(1, weight)) for weight in params.weights)
    return (z, y, x)


def ball(params: VoteParams, full_shape: Index3) -> tuple[np.ndarray, np.ndarray]:
    """Offsets int64 (K, 3) within the radius and their weighted squared distances int64 (K,).

    Offsets that lead out of an image of the given shape from every voxel of it are left out.
    """
    limits = [min(n, size - 1) for n, size in zip(reach(params), full_shape, strict=True)]
    axes = [np.arange(-limit, limit + 1) for limit in limits]
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = (offsets**2 * np.array(params.weights)).sum(axis=1)
    inside = distance <= params.radius**2
    return offsets[inside], distance[inside]


def nearest(centres: Centres, votes: Votes, full_shape: Index3, params: VoteParams) -> np.ndarray:
    """Id of the centre that is nearest to each vote's target, 0 where none is within the radius, int64.

    Ties go to the centre with the smaller id.

    Args:
        centres: in ascending order of their ids; those too far away to matter are ignored.
        votes: the votes to assign.
        full_shape: z/y/x of the image.
        params: radius and weights of the distance.
    """
    centres = centres.within(votes.landing.grown(reach(params)))
    count = len(centres.identity)
    if count == 0 or votes.target.size == 0:
        return np.zeros(votes.target.size, np.int64)
    best = _paint(centres, votes.landing, full_shape, params)[votes.target]
    rank = best - best // (count + 1) * (count + 1)
    identity: np.ndarray = np.append(centres.identity, 0)[rank]
    return identity


def _paint(centres: Centres, box: Box, full_shape: Index3, params: VoteParams) -> np.ndarray:
    """The smallest of `distance * (count + 1) + rank` over the centres whose ball covers a voxel, flat over the box.

    Voxels in no ball have the rank `count`. The value holds the nearest centre and the rule for ties at once, and a
    minimum does not depend on the order.
    """
    count, shape = len(centres.identity), box.shape
    nothing = (params.radius**2 + 1) * (count + 1) + count
    kind = np.int32 if nothing < 2**31 else np.int64
    best = np.full(box.voxels, nothing, kind)
    offsets, distance = ball(params, full_shape)
    cost, rank = (distance * (count + 1)).astype(kind), np.arange(count, dtype=kind)
    position = centres.position - np.array(box.start)
    margin = np.abs(offsets).max(axis=0)
    whole = ((position >= margin) & (position + margin < shape)).all(axis=1)
    steps = np.array([shape[1] * shape[2], shape[2], 1])
    stride = max(1, _STEP // len(offsets))
    for members in (np.flatnonzero(whole), np.flatnonzero(~whole)):
        for start in range(0, members.size, stride):
            part = members[start : start + stride]
            cells = (position[part] @ steps)[:, None] + offsets @ steps
            keys = np.add(cost, rank[part, None])
            if not whole[part[0]]:
                inside = _inside(position[part], offsets, shape)
                cells, keys = cells[inside], keys[inside]
            np.minimum.at(best, cells.reshape(-1), keys.reshape(-1))
    return best


def _inside(position: np.ndarray, offsets: np.ndarray, shape: Index3) -> np.ndarray:
    """Which cells of which balls lie in the box, bool (centres, offsets)."""
    inside = np.ones((len(position), len(offsets)), bool)
    for axis, length in enumerate(shape):
        cell = position[:, axis, None] + offsets[:, axis]
        inside &= (cell >= 0) & (cell < length)
    return inside
