"""Rivals: of two centres that are too close for the size of their nuclei, the weaker one goes.

Votes of a large nucleus spread more than those of a small one and may have several maxima, while the centres of small
nuclei lie close together. The votes themselves tell the size: for a ball of radius R the mean squared length of the
votes is 3/5 R**2, for a disc 1/2 R**2. Which centres go is decided between pairs of centres, whether or not one of them
is itself dropped, so the decision stays local.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import isqrt, prod

import numpy as np
from scipy.spatial import KDTree

from noyau.decoding.centres import Centres
from noyau.decoding.votes import Votes
from noyau.domain.geometry import Box, Index3
from noyau.domain.model import VoteParams

# How many voxels around centres are looked at in one step, to bound memory.
_STEP = 1 << 21


@dataclass(frozen=True)
class Spread:
    """How far the votes for each centre come from: those that land within `smooth` of it along every axis.

    Attributes:
        weight: sum of their weights, int64 (N,).
        moment: sum of weight * squared length, int64 (N,).
    """

    weight: np.ndarray
    moment: np.ndarray


def rival_reach(params: VoteParams) -> Index3:
    """How far a rival can be along each axis, voxels; 0 where rivals are not looked at."""
    radius = params.rival_radius if params.rival_percent > 0 else 0
    z, y, x = (isqrt(radius**2 // max(1, weight)) for weight in params.weights)
    return (z, y, x)


def close_pairs(centres: Centres, params: VoteParams) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of centres within the rival radius.

    Returns:
        Ranks int64 (N, 2), and the weighted squared distance int64 (N,) of each pair.
    """
    none = np.zeros((0, 2), np.int64), np.zeros(0, np.int64)
    if params.rival_percent <= 0 or len(centres.identity) < 2:
        return none
    # The tree calculates in floats, so it is asked for a little more and the integers decide.
    tree = KDTree(centres.position * np.sqrt(np.array(params.weights)))
    pairs = tree.query_pairs(params.rival_radius + 0.5, output_type="ndarray").astype(np.int64)
    apart = centres.position[pairs[:, 0]] - centres.position[pairs[:, 1]]
    distance = (apart**2 * np.array(params.weights)).sum(axis=1)
    close = distance <= params.rival_radius**2
    return pairs[close], distance[close]


def without_rivals(
    centres: Centres, pairs: np.ndarray, distance: np.ndarray, spread: Spread, params: VoteParams
) -> Centres:
    """The centres that no rival drops.

    The weaker of a pair (smaller mass, or the larger id among equals) is dropped where the squared distance is at
    most `rival_percent` percent of the mean squared length of the votes for one of the two.

    Args:
        centres: in ascending order of their ids.
        pairs, distance: from `close_pairs`.
        spread: of the votes for each centre that occurs in a pair.
        params: see above.
    """
    near = (100 * distance[:, None] * spread.weight[pairs] <= params.rival_percent * spread.moment[pairs]).any(axis=1)
    first, second = np.sort(pairs, axis=1).T
    weaker = np.where(centres.mass[first] >= centres.mass[second], second, first)
    keep = np.ones(len(centres.identity), bool)
    keep[weaker[near]] = False
    return Centres(centres.position[keep], centres.identity[keep], centres.mass[keep])


def vote_spread(votes: Votes, centres: Centres, wanted: np.ndarray, params: VoteParams) -> Spread:
    """The spread of the votes for some of the centres, 0 for the others.

    Args:
        votes: all votes of the block.
        centres: the centres.
        wanted: ranks of those that have close neighbours.
        params: window and weights of the distance.
    """
    parts = np.array_split(wanted, -(-wanted.size * prod(2 * r + 1 for r in params.smooth) // _STEP))
    near = np.zeros(votes.landing.voxels, bool)
    for part in parts:
        cells, inside = window_cells(centres.position[part], params.smooth, votes.landing)
        near[cells[inside]] = True
    chosen = np.flatnonzero(near[votes.target])
    target, weight = votes.target[chosen], votes.weight[chosen].astype(np.int64)
    length = _squared_length(votes, chosen, params)
    spread = Spread(np.zeros(len(centres.identity), np.int64), np.zeros(len(centres.identity), np.int64))
    for column, amount in ((spread.weight, weight), (spread.moment, weight * length)):
        sums = np.zeros(votes.landing.voxels, np.int64)
        np.add.at(sums, target, amount)
        for part in parts:
            cells, inside = window_cells(centres.position[part], params.smooth, votes.landing)
            column[part] = (sums[cells] * inside).sum(axis=1)
    return spread


def _squared_length(votes: Votes, chosen: np.ndarray, params: VoteParams) -> np.ndarray:
    """Weighted squared length of some of the votes, int64."""
    total = np.zeros(chosen.size, np.int64)
    ends = (
        np.unravel_index(votes.voxel[chosen], votes.block.shape),
        np.unravel_index(votes.target[chosen], votes.landing.shape),
    )
    for axis, (start, stop) in enumerate(zip(*ends, strict=True)):
        moved = votes.landing.start[axis] - votes.block.start[axis]
        total += (stop + moved - start) ** 2 * params.weights[axis]
    return total


def window_cells(position: np.ndarray, radii: Index3, box: Box) -> tuple[np.ndarray, np.ndarray]:
    """Flat indices in a box of the cells around global positions, int64 (N, K), and which of them lie in it.

    Cells outside the box have index 0.
    """
    offsets = np.array(list(product(*[range(-r, r + 1) for r in radii])), np.int64)
    cells = np.zeros((len(position), len(offsets)), np.int64)
    inside = np.ones(cells.shape, bool)
    for axis, length in enumerate(box.shape):
        cell = position[:, axis, None] - box.start[axis] + offsets[:, axis]
        inside &= (cell >= 0) & (cell < length)
        cells *= length
        cells += cell
    return np.where(inside, cells, 0), inside
