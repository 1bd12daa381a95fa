"""What the network should answer: foreground, offsets to the nucleus centre, and how much each voxel counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage as ndi
from torch.nn import functional


@dataclass(frozen=True)
class Objects:
    """The labelled nuclei of an image.

    Attributes:
        ids: label values, ascending, shape (n,).
        centres: centroids in voxels, snapped into the object, shape (n, ndim), float64.
        radii: radii of the sphere (disc) of equal volume in voxels, shape (n,).
        counted: whether the object is a nucleus to learn from, shape (n,); fragments are not.
    """

    ids: np.ndarray
    centres: np.ndarray
    radii: np.ndarray
    counted: np.ndarray


def find_objects(labels: np.ndarray, fragment: int = 0) -> Objects:
    """Centres and sizes of all objects. A centroid outside its object moves to the nearest voxel of the object.

    Args:
        labels: instance labels, 0 is background.
        fragment: objects of fewer voxels do not count.
    """
    ids, counts = np.unique(labels, return_counts=True)
    ids, counts = ids[ids > 0].astype(np.int64), counts[ids > 0]
    if len(ids) == 0:
        return Objects(ids, np.zeros((0, labels.ndim)), np.zeros(0), np.zeros(0, bool))
    centres = np.array(ndi.center_of_mass(labels > 0, labels, ids), dtype=np.float64).reshape(-1, labels.ndim)
    boxes = ndi.find_objects(labels)
    for row, label in enumerate(ids):
        at = tuple(np.rint(centres[row]).astype(int))
        if labels[at] != label:
            box = boxes[label - 1]
            voxels = np.argwhere(labels[box] == label) + [s.start for s in box]
            centres[row] = voxels[((voxels - centres[row]) ** 2).sum(1).argmin()]
    ball = np.pi if labels.ndim == 2 else 4 * np.pi / 3
    return Objects(ids, centres, (counts / ball) ** (1 / labels.ndim), counts >= fragment)


@dataclass(frozen=True)
class Targets:
    """Targets of one patch or, stacked, of a batch.

    Attributes:
        foreground: (1, *spatial) soft target in 0..1, above 0.5 exactly where a nucleus is.
        offsets: (ndim, *spatial) voxels to the nucleus centre, 0 outside nuclei.
        foreground_weight: (1, *spatial), 0 where the truth is unknown.
        offset_weight: (1, *spatial), 0 outside nuclei.
    """

    foreground: torch.Tensor
    offsets: torch.Tensor
    foreground_weight: torch.Tensor
    offset_weight: torch.Tensor


# Patch voxels on either side of a boundary of which the true outline is uncertain.
_SOFT_KERNEL = 3
_BAND_KERNEL = 5
_REFERENCE_RADIUS = 8.0
# Below one voxel of a 5 x 5 x 5 window, above rounding.
_MIXED = 1e-3


def make_targets(
    labels: torch.Tensor,
    ids: np.ndarray,
    centres: np.ndarray,
    radii: np.ndarray,
    known: torch.Tensor,
    counted: np.ndarray | None = None,
) -> Targets:
    """Targets of one patch.

    Args:
        labels: int64 (*spatial).
        ids: label values of the image's objects.
        centres: their centres in this patch's voxels (they may lie outside the patch), shape (n, ndim).
        radii: their radii in this patch's voxels.
        known: bool (*spatial), False where the patch leaves the image.
        counted: which objects count, shape (n,); the voxels of the others are as good as unknown. None for all.
    """
    ndim = labels.dim()
    size = int(max(labels.max().item(), ids.max(initial=0))) + 1
    centre_of = torch.zeros((size, ndim))
    balance_of = torch.ones(size)
    if len(ids):
        at = torch.as_tensor(ids, dtype=torch.int64)
        centre_of[at] = torch.as_tensor(centres, dtype=torch.float32)
        balance = (_REFERENCE_RADIUS / np.maximum(radii, 1.0)).clip(0.4, 2.5)
        if counted is not None:
            balance = balance * counted
        balance_of[at] = torch.as_tensor(balance, dtype=torch.float32)
    mask = labels > 0
    grid = torch.stack(torch.meshgrid(*(torch.arange(n) for n in labels.shape), indexing="ij")).float()
    offsets = (centre_of[labels].movedim(-1, 0) - grid) * mask
    balance_map = balance_of[labels]
    foreground = _soften(mask.float())
    weight = torch.where(mask, balance_map, 1.0) * (1.0 + _band(mask.float())) * known
    return Targets(foreground, offsets, weight[None], (balance_map * mask * known)[None])


def _soften(mask: torch.Tensor) -> torch.Tensor:
    """Half the mask, half its local mean: annotators do not agree on the outermost voxel."""
    return (0.5 * mask + 0.5 * _local_mean(mask, _SOFT_KERNEL))[None]


def _band(mask: torch.Tensor) -> torch.Tensor:
    """1 within two voxels of a boundary between nucleus and background, else 0."""
    mean = _local_mean(mask, _BAND_KERNEL)
    mixed = (mean > _MIXED) & (mean < 1.0 - _MIXED)
    return mixed.to(mask.dtype)


def _local_mean(mask: torch.Tensor, kernel: int) -> torch.Tensor:
    """Box mean, one axis after the other; the window shrinks at the borders of the patch."""
    pool = functional.avg_pool3d if mask.dim() == 3 else functional.avg_pool2d
    mean = mask[None, None]
    for axis in range(mask.dim()):
        window = [1] * mask.dim()
        window[axis] = kernel
        mean = pool(mean, window, 1, [k // 2 for k in window], count_include_pad=False)
    return mean[0, 0]
