"""The vote decoder: from a quantised dense prediction to nuclei, exactly and locally.

Every foreground voxel votes for the voxel that its offset points at. Centres are the local maxima of the smoothed
density of votes, without those that are too close to a stronger one for the size of the nucleus; a foreground voxel
belongs to the centre nearest to its vote. Each nucleus is named by the place of its centre in the whole image, so
blocks agree without stitching. All arithmetic is on integers: the labels of a voxel depend on the prediction within
`halo(params)` of it and on nothing else.

The filters of size and certainty are global and not applied here; assembly counts voxels over all blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noyau.decoding.assignment import nearest, reach
from noyau.decoding.centres import Centres, find_peaks
from noyau.decoding.density import accumulate, kernel_radii, mass_threshold, smooth
from noyau.decoding.rivals import close_pairs, rival_reach, vote_spread, without_rivals
from noyau.decoding.votes import Votes, cast_votes, check_prediction
from noyau.domain.certainty import sure_enough
from noyau.domain.geometry import Box, Index3, as_index
from noyau.domain.model import VoteParams

__all__ = [
    "VoteBlock",
    "assign",
    "centre_reach",
    "decode",
    "halo",
    "segment_crop",
]


@dataclass(frozen=True)
class VoteBlock:
    """Provisional labels of a block.

    Attributes:
        labels: int64 (Z, Y, X), 0 or 1 + raster index in the image of the nucleus's centre.
        box: global box of `labels`.
        centres: the centres that lie in the box, in ascending order of their ids. A label of the box may name a
            centre outside it.
    """

    labels: np.ndarray
    box: Box
    centres: Centres


def halo(params: VoteParams) -> Index3:
    """Margin z/y/x around a box within which the prediction must be known for `decode` to be exact in the box.

    From a voxel to its vote (max_offset), from there to a centre (reach), to a rival of the centre (rival_reach), to
    a voxel with a larger density (nms), to the votes that its density sums (smooth), and to the voxels that cast them
    (max_offset).
    """
    steps = zip(centre_reach(params), _rival_margin(params), params.max_offset, strict=True)
    return as_index(c + r + m for c, r, m in steps)


def centre_reach(params: VoteParams) -> Index3:
    """Margin z/y/x around a box outside which no centre can own a voxel of the box."""
    return as_index(m + r for m, r in zip(params.max_offset, reach(params), strict=True))


def decode(
    pred: np.ndarray, origin: Index3, full_shape: Index3, params: VoteParams, *, core: Box | None = None
) -> VoteBlock:
    """Provisional labels of a block.

    Args:
        pred: quantised prediction of the block, uint8 (4, Z, Y, X): foreground byte, int8 offsets z, y, x.
        origin: global index z/y/x of the block's first voxel.
        full_shape: z/y/x of the whole image on the model's grid.
        params: the decoder's parameters, in voxels of that grid.
        core: global box inside the block to label; None means the whole block. Labels are exact where the block
            holds all of `core.grown(halo(params)).clipped(full_shape)`.

    Raises:
        InvalidInput: the prediction has another type or shape.
    """
    block = Box((0, 0, 0), check_prediction(pred)).shifted(origin)
    if core is None or core == block:
        votes = cast_votes(pred, block, full_shape, params)
        return _label(votes, _centres(votes, full_shape, params), full_shape, params)
    core = core.intersection(block)
    # Votes that land further away than this decide about centres that no voxel of the core can join.
    landing = core.grown(centre_reach(params)).grown(_rival_margin(params)).intersection(block)
    centres = _centres(cast_votes(pred, block, full_shape, params, landing=landing), full_shape, params)
    part = (slice(None), *core.relative_to(origin).slices)
    return assign(pred[part], core.start, full_shape, params, centres)


def assign(pred: np.ndarray, origin: Index3, full_shape: Index3, params: VoteParams, centres: Centres) -> VoteBlock:
    """Provisional labels of a block from known centres, the second half of `decode`, which needs no halo.

    Args:
        pred: quantised prediction of the block, uint8 (4, Z, Y, X).
        origin: global index z/y/x of the block's first voxel.
        full_shape: z/y/x of the image.
        params: the decoder's parameters.
        centres: at least those within `centre_reach(params)` of the block, in ascending order of their ids.
    """
    block = Box((0, 0, 0), check_prediction(pred)).shifted(origin)
    landing = block.grown(params.max_offset).clipped(full_shape)
    return _label(cast_votes(pred, block, full_shape, params, landing=landing), centres, full_shape, params)


def segment_crop(pred: np.ndarray, params: VoteParams) -> np.ndarray:
    """Final labels 1..n (uint32) of a prediction that is the whole image, without small and uncertain objects."""
    shape = check_prediction(pred)
    labels = decode(pred, (0, 0, 0), shape, params).labels
    inside = np.flatnonzero(labels)
    _, inverse, count = np.unique(labels.reshape(-1)[inside], return_inverse=True, return_counts=True)
    probability = np.bincount(inverse, pred[0].reshape(-1)[inside], len(count)).astype(np.int64)
    kept = (count >= params.min_voxels) & sure_enough(probability, count, params.min_certainty)
    number = np.where(kept, np.cumsum(kept), 0).astype(np.uint32)
    result = np.zeros(labels.size, np.uint32)
    result[inside] = number[inverse]
    return result.reshape(shape)


def _rival_margin(params: VoteParams) -> Index3:
    """Margin around a voxel outside which no vote decides whether the voxel is a centre."""
    return as_index(r + n + s for r, n, s in zip(rival_reach(params), params.nms, params.smooth, strict=True))


def _centres(votes: Votes, full_shape: Index3, params: VoteParams) -> Centres:
    density = smooth(accumulate(votes, params.max_offset), kernel_radii(params, full_shape))
    threshold = mass_threshold(params, full_shape)
    peaks = find_peaks(density, votes.landing.start, full_shape, threshold, params.nms)
    pairs, distance = close_pairs(peaks, params)
    if len(pairs) == 0:
        return peaks
    spread = vote_spread(votes, peaks, np.unique(pairs), params)
    return without_rivals(peaks, pairs, distance, spread, params)


def _label(votes: Votes, centres: Centres, full_shape: Index3, params: VoteParams) -> VoteBlock:
    labels = np.zeros(votes.block.shape, np.int64)
    labels.reshape(-1)[votes.voxel] = nearest(centres, votes, full_shape, params)
    return VoteBlock(labels, votes.block, centres.within(votes.block))
