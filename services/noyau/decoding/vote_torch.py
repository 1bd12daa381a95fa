"""The vote decoder on tensors, for predictions that are on a GPU already.

The same integers as `noyau.decoding.vote`, in the same order of preference, so the labels are the same bit for bit;
sums and minima of integers do not depend on the order in which a device takes them. It differs in one point: every
value is 64 bits wide, because a GPU gains nothing from narrower ones here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from noyau.decoding.assignment import ball, reach
from noyau.decoding.centres import Centres, identities, window
from noyau.decoding.density import SCALE, kernel_radii, mass_threshold
from noyau.decoding.rivals import Spread, close_pairs, window_cells, without_rivals
from noyau.decoding.votes import threshold_byte
from noyau.domain.geometry import Box, Index3, as_index
from noyau.domain.model import VoteParams

# How many voxels one step of the suppression or of the painting looks at, to bound memory.
_STEP = 1 << 24


@dataclass(frozen=True)
class _Votes:
    voxel: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor


def decode(
    pred: torch.Tensor, origin: Index3, full_shape: Index3, params: VoteParams, *, core: Box | None = None
) -> tuple[torch.Tensor, Centres]:
    """Provisional labels of a block and the centres in it; see `noyau.decoding.vote.decode`.

    Args:
        pred: quantised prediction of the block, uint8 (4, Z, Y, X), on any device.
        origin: global index z/y/x of the block's first voxel.
        full_shape: z/y/x of the whole image.
        params: the decoder's parameters.
        core: global box inside the block to label; None means the whole block.

    Returns:
        Labels int64 (Z, Y, X) of the core on the device of the prediction, and the centres in the core.
    """
    shape = as_index(pred.shape[1:])
    block = Box((0, 0, 0), shape).shifted(origin)
    core = block if core is None else core.intersection(block)
    votes = _cast(pred, block, full_shape, params)
    density = torch.zeros(block.voxels, dtype=torch.int64, device=pred.device)
    density.scatter_add_(0, votes.target, votes.weight * SCALE)
    density = _smooth(density.reshape(shape), kernel_radii(params, full_shape))
    centres = _peaks(density, origin, full_shape, mass_threshold(params, full_shape), params.nms)
    pairs, distance = close_pairs(centres, params)
    if len(pairs):
        centres = without_rivals(centres, pairs, distance, _spread(votes, centres, block, params), params)
    labels = torch.zeros(block.voxels, dtype=torch.int64, device=pred.device)
    labels[votes.voxel] = _nearest(centres, votes.target, block, full_shape, params)
    return labels.reshape(shape)[core.relative_to(origin).slices], centres.within(core)


def _cast(pred: torch.Tensor, block: Box, full_shape: Index3, params: VoteParams) -> _Votes:
    flat = pred.view(torch.uint8).reshape(4, -1)
    voxel = torch.nonzero(flat[0] >= threshold_byte(params)).reshape(-1)
    inside = torch.ones_like(voxel, dtype=torch.bool)
    target = torch.zeros_like(voxel)
    for axis, position in enumerate(_unravel(voxel, block.shape)):
        longest = min(127, params.max_offset[axis])
        offset = flat[axis + 1][voxel].view(torch.int8).long().clamp(-longest, longest)
        first = block.start[axis]
        moved = (position + offset).clamp(-first, full_shape[axis] - 1 - first)
        inside &= (moved >= 0) & (moved < block.shape[axis])
        target = target * block.shape[axis] + moved
    voxel, target = voxel[inside], target[inside]
    return _Votes(voxel, target, flat[0][voxel].long())


def _smooth(density: torch.Tensor, radii: Index3) -> torch.Tensor:
    for axis in (1, 2, 0):
        length = density.shape[axis]
        for _ in range(radii[axis]):
            smoothed = density * 2
            smoothed.narrow(axis, 1, length - 1).add_(density.narrow(axis, 0, length - 1))
            smoothed.narrow(axis, 0, length - 1).add_(density.narrow(axis, 1, length - 1))
            density = (smoothed + 2) >> 2
    return density


def _peaks(density: torch.Tensor, origin: Index3, full_shape: Index3, threshold: int, nms: Index3) -> Centres:
    flat, shape = density.reshape(-1), as_index(density.shape)
    alive = torch.nonzero(flat >= threshold).reshape(-1)
    offsets = torch.from_numpy(window(nms)).to(flat.device)
    start = 0
    while len(alive) and start < len(offsets):
        stop = start + max(1, _STEP // len(alive))
        neighbour = torch.zeros((len(alive), len(offsets[start:stop])), dtype=torch.int64, device=flat.device)
        for axis, position in enumerate(_unravel(alive, shape)):
            moved = (position[:, None] + offsets[start:stop, axis]).clamp(0, shape[axis] - 1)
            neighbour = neighbour * shape[axis] + moved
        theirs, own = flat[neighbour], flat[alive][:, None]
        beaten = ((theirs > own) | ((theirs == own) & (neighbour < alive[:, None]))).any(dim=1)
        alive = alive[~beaten]
        start = stop
    mass = flat[alive].cpu().numpy()
    position = np.stack(np.unravel_index(alive.cpu().numpy(), shape), axis=1).astype(np.int64) + np.array(origin)
    return Centres(position, identities(position, full_shape), mass)


def _spread(votes: _Votes, centres: Centres, block: Box, params: VoteParams) -> Spread:
    """See `noyau.decoding.rivals.vote_spread`; here for all centres."""
    device = votes.target.device
    length = torch.zeros_like(votes.target)
    ends = zip(_unravel(votes.voxel, block.shape), _unravel(votes.target, block.shape), params.weights, strict=True)
    for start, stop, weight in ends:
        length += (stop - start) ** 2 * weight
    cells, inside = (torch.from_numpy(a).to(device) for a in window_cells(centres.position, params.smooth, block))
    columns = []
    for amount in (votes.weight, votes.weight * length):
        sums = torch.zeros(block.voxels, dtype=torch.int64, device=device)
        sums.scatter_add_(0, votes.target, amount)
        columns.append((sums[cells] * inside).sum(dim=1).cpu().numpy())
    return Spread(*columns)


def _nearest(centres: Centres, target: torch.Tensor, box: Box, full_shape: Index3, params: VoteParams) -> torch.Tensor:
    centres = centres.within(box.grown(reach(params)))
    count, device = len(centres.identity), target.device
    if count == 0 or len(target) == 0:
        return torch.zeros_like(target)
    offsets, distance = (torch.from_numpy(values).to(device) for values in ball(params, full_shape))
    position = torch.from_numpy(centres.position - np.array(box.start)).to(device)
    best = torch.full((box.voxels,), (params.radius**2 + 1) * (count + 1) + count, dtype=torch.int64, device=device)
    stride = max(1, _STEP // len(offsets))
    for start in range(0, count, stride):
        part = position[start : start + stride]
        rank = torch.arange(start, start + len(part), device=device)
        keys = distance * (count + 1) + rank[:, None]
        cells, inside = torch.zeros_like(keys), torch.ones_like(keys, dtype=torch.bool)
        for axis, length in enumerate(box.shape):
            cell = part[:, axis, None] + offsets[:, axis]
            inside &= (cell >= 0) & (cell < length)
            cells = cells * length + cell
        best.scatter_reduce_(0, cells[inside], keys[inside], "amin")
    identity = torch.from_numpy(np.append(centres.identity, 0)).to(device)
    return identity[best[target] % (count + 1)]


def _unravel(index: torch.Tensor, shape: Index3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    row = index // shape[2]
    z = row // shape[1]
    return z, row - z * shape[1], index - row * shape[2]
