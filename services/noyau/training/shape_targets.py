"""Targets that describe shapes: how deep a voxel lies inside its nucleus, and where nuclei end."""

from __future__ import annotations

from itertools import product

import edt
import numpy as np
import torch
from scipy import ndimage as ndi

Spacing = tuple[float, ...]


def spacing_of(voxel_size: tuple[float, float, float] | None, ndim: int) -> Spacing:
    """Relative lengths of a voxel's edges, the shortest being 1; z is left out in 2D."""
    if voxel_size is None:
        return (1.0,) * ndim
    edges = voxel_size[3 - ndim :]
    return tuple(edge / min(edges) for edge in edges)


def extended(labels: torch.Tensor, known: torch.Tensor) -> np.ndarray:
    """Labels int32 (*spatial) in which unknown voxels continue the nearest known one.

    Without this a nucleus at the image's border, or at the border of what was annotated, would seem to end there.
    """
    values, sure = labels.numpy().astype(np.int32), known.numpy()
    if sure.all() or not sure.any():
        return values
    nearest = ndi.distance_transform_edt(~sure, return_distances=False, return_indices=True)
    return np.asarray(values[tuple(nearest)])


def depth(labels: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Distance to the end of the nucleus over the largest such distance in it: float32 (*spatial), 1 at the deepest
    voxel, 0 outside. The end of the patch is not the end of a nucleus.

    The object probability of Schmidt et al. 2018 (arXiv:1806.03535), normalised by nucleus.
    """
    if not labels.any():
        return np.zeros(labels.shape, np.float32)
    distance = edt.edt(np.ascontiguousarray(labels), anisotropy=spacing, black_border=False)
    # Where a single nucleus fills the patch nothing says how deep a voxel lies.
    distance[~np.isfinite(distance)] = 1.0
    largest = np.zeros(int(labels.max()) + 1, np.float32)
    np.maximum.at(largest, labels.ravel(), distance.ravel())
    relative = distance / np.maximum(largest, 1e-6)[labels]
    return np.asarray(relative * (labels > 0), np.float32)


def borders(labels: np.ndarray) -> np.ndarray:
    """Voxels with a face neighbour of another label: bool (*spatial), two voxels wide, one on each side."""
    found = np.zeros(labels.shape, bool)
    for axis in range(labels.ndim):
        low = (slice(None),) * axis + (slice(None, -1),)
        high = (slice(None),) * axis + (slice(1, None),)
        differs = labels[low] != labels[high]
        found[low] |= differs
        found[high] |= differs
    return found


def cut_objects(labels: np.ndarray) -> np.ndarray:
    """Voxels of nuclei that reach an end of the patch, whose shape nobody knows: bool (*spatial)."""
    reached = np.zeros(int(labels.max(initial=0)) + 1, bool)
    for axis, end in product(range(labels.ndim), (0, -1)):
        reached[np.take(labels, end, axis)] = True
    reached[0] = False
    return np.asarray(reached[labels])
