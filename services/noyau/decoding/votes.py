"""Votes: where each foreground voxel says that the centre of its nucleus is.

Coordinates are those of the block unless they are called global. Everything is an integer, so nothing here depends
on the block that the voxels were cut from, on the device or on the order of sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import Box, Index3
from noyau.domain.model import VoteParams


@dataclass(frozen=True)
class Votes:
    """Votes of the foreground voxels of one block, all arrays of one length and in raster order of the voxels.

    Attributes:
        voxel: flat index in `block` of the voxel that votes.
        target: flat index in `landing` of the voxel that it votes for.
        weight: the foreground byte of the voxel that votes, 1..255.
        block: global box of the voxels that vote.
        landing: global box of the voxels that are voted for.
    """

    voxel: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    block: Box
    landing: Box


def threshold_byte(params: VoteParams) -> int:
    """Smallest foreground byte that counts as foreground; never 0, because byte 0 carries no offset."""
    return min(255, max(1, ceil(params.foreground * 255)))


def check_prediction(pred: np.ndarray) -> Index3:
    """The z/y/x shape of a quantised prediction.

    Raises:
        InvalidInput: the array is not uint8 or int8 of shape (4, Z, Y, X).
    """
    if pred.ndim != 4 or pred.shape[0] != 4 or pred.dtype.itemsize != 1 or pred.dtype.kind not in "ui":
        raise InvalidInput(
            f"A quantised prediction is uint8 of shape (4, Z, Y, X), not {pred.dtype} of shape {pred.shape}."
        )
    return (pred.shape[1], pred.shape[2], pred.shape[3])


def cast_votes(
    pred: np.ndarray, block: Box, full_shape: Index3, params: VoteParams, *, landing: Box | None = None
) -> Votes:
    """The votes of a block's foreground voxels.

    A vote that leaves the image is moved to the nearest voxel of the image, so that a nucleus cut by the border
    keeps its centre. A vote that leaves `landing` but not the image is dropped.

    Args:
        pred: quantised prediction of the block, uint8 (4, Z, Y, X): foreground byte and int8 offsets z, y, x.
        block: global box of the prediction.
        full_shape: z/y/x of the image.
        params: threshold and longest offset.
        landing: global box in which votes count; None means the block.
    """
    landing = block if landing is None else landing
    foreground = pred[0].view(np.uint8).reshape(-1)
    voxel = np.flatnonzero(foreground >= threshold_byte(params))
    index = voxel.astype(np.int32 if max(block.voxels, landing.voxels) < 2**31 else np.int64)
    row, x = _split(index, block.shape[2])
    z, y = _split(row, block.shape[1])
    target = np.zeros_like(index)
    inside: np.ndarray | None = None
    for axis, position in enumerate((z, y, x)):
        longest = min(127, params.max_offset[axis])
        position += np.clip(pred[axis + 1].view(np.int8).reshape(-1)[voxel], -longest, longest)
        first = landing.start[axis]
        position += block.start[axis] - first
        np.clip(position, -first, full_shape[axis] - 1 - first, out=position)
        if first > 0 or landing.stop[axis] < full_shape[axis]:
            within = (position >= 0) & (position < landing.shape[axis])
            inside = within if inside is None else inside & within
        target *= landing.shape[axis]
        target += position
    if inside is not None and not inside.all():
        voxel, target = voxel[inside], target[inside]
    return Votes(voxel, target, foreground[voxel], block, landing)


def _split(index: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Quotient and remainder; faster than divmod, which computes the quotient twice."""
    quotient = index // length
    return quotient, index - quotient * length
