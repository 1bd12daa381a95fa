"""The direction in which heat would flow back to the middle of each nucleus.

The idea is that of Cellpose (Stringer et al. 2021, doi:10.1038/s41592-020-01018-x): heat is put in at the middle of a
nucleus and spreads inside it; the gradient of the heat leads from every voxel to the middle without leaving the
nucleus, around corners if need be.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

# Heat must have time to reach the ends of a nucleus: this many steps per voxel of its extent.
_STEPS_PER_VOXEL = 1.5
_LEAST_STEPS, _MOST_STEPS = 12, 160
_LEAST_HEAT = 1e-37


def heat_flow(labels: np.ndarray, ids: np.ndarray, centres: np.ndarray) -> torch.Tensor:
    """Unit vectors towards the middle, voxels, float32 (ndim, *spatial), 0 outside nuclei and at the middle itself.

    Args:
        labels: int32 (*spatial).
        ids: label values of the image's objects, ascending.
        centres: their centres in this patch's voxels (they may lie outside the patch), shape (n, ndim).
    """
    present = np.unique(labels)
    present = present[present > 0]
    flow = torch.zeros((labels.ndim, *labels.shape))
    if len(present) == 0:
        return flow
    own = torch.from_numpy(labels.astype(np.int64))
    source = torch.zeros(own.shape)
    for label, place in zip(present, np.searchsorted(ids, present), strict=True):
        voxels = np.argwhere(labels == label)
        middle = centres[place] if place < len(ids) and ids[place] == label else voxels.mean(0)
        source[tuple(voxels[((voxels - middle) ** 2).sum(1).argmin()])] = 1.0
    # Heat falls by orders of magnitude towards the ends; its logarithm falls evenly, and in the same direction.
    heat = torch.log(_spread(own, source, _steps(labels, present)).clamp_min(_LEAST_HEAT))
    for axis in range(labels.ndim):
        flow[axis] = _difference(heat, own, axis)
    length: torch.Tensor = flow.norm(dim=0, keepdim=True)
    return flow / length.clamp_min(1e-12)


def _steps(labels: np.ndarray, present: np.ndarray) -> int:
    """Enough for the largest nucleus."""
    widest = 0
    for axis in range(labels.ndim):
        profile = np.moveaxis(labels, axis, 0).reshape(labels.shape[axis], -1)
        first, last = np.full(int(present[-1]) + 1, 1 << 30), np.full(int(present[-1]) + 1, -1)
        for position, row in enumerate(profile):
            seen = np.unique(row)
            first[seen] = np.minimum(first[seen], position)
            last[seen] = position
        widest = max(widest, int((last - first)[present].max()) + 1)
    return int(min(_MOST_STEPS, max(_LEAST_STEPS, _STEPS_PER_VOXEL * widest)))


def _spread(labels: torch.Tensor, source: torch.Tensor, steps: int) -> torch.Tensor:
    """Heat after so many steps; it passes between face neighbours of one nucleus and is lost at its ends."""
    ndim = labels.dim()
    inside = (labels > 0).to(source.dtype)
    gates = []
    for axis in range(ndim):
        length = labels.shape[axis] - 1
        same = labels.narrow(axis, 0, length) == labels.narrow(axis, 1, length)
        gates.append((same & (labels.narrow(axis, 0, length) > 0)).to(source.dtype))
    heat = torch.zeros_like(source)
    for _ in range(steps):
        heat = heat + source
        total = heat.clone()
        for axis, gate in enumerate(gates):
            length = gate.shape[axis]
            total.narrow(axis, 0, length).add_(gate * heat.narrow(axis, 1, length))
            total.narrow(axis, 1, length).add_(gate * heat.narrow(axis, 0, length))
        heat = total * inside / (2 * ndim + 1)
    return heat


def _difference(heat: torch.Tensor, labels: torch.Tensor, axis: int) -> torch.Tensor:
    """Central difference along an axis; beyond the end of a nucleus its last voxel continues."""
    pad = [0, 0] * labels.dim()
    at = 2 * (labels.dim() - 1 - axis)
    pad[at : at + 2] = [1, 1]
    wide, names = functional.pad(heat, pad), functional.pad(labels, pad)
    length = labels.shape[axis]
    ends = []
    for start in (0, 2):
        same = names.narrow(axis, start, length) == labels
        ends.append(torch.where(same, wide.narrow(axis, start, length), heat))
    return (ends[1] - ends[0]) * (labels > 0)
