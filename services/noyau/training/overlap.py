"""How two label images overlap, as a sparse table.

A label image is constant over long runs of voxels along x. The table is built from these runs, so that memory and
time follow the number of runs and of overlapping pairs, never (true objects) x (predicted objects).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import Index3


@dataclass(frozen=True)
class Objects:
    """The objects of one label image.

    Attributes:
        ids: labels in ascending order, without 0; shape (n,).
        voxels: voxel count of each; shape (n,).
        centroids: mean z/y/x voxel index of each; shape (n, 3).
    """

    ids: np.ndarray
    voxels: np.ndarray
    centroids: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Overlap:
    """Objects of a true and a predicted label image and the pairs that share voxels.

    Attributes:
        true, pred: the objects of both sides.
        rows, cols: index into `true` and `pred` of each overlapping pair, sorted by (row, col); shape (k,).
        voxels: voxels that the pair shares; shape (k,).
    """

    true: Objects
    pred: Objects
    rows: np.ndarray
    cols: np.ndarray
    voxels: np.ndarray

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of each pair; shape (k,), all > 0."""
        union = self.true.voxels[self.rows] + self.pred.voxels[self.cols] - self.voxels
        ratio: np.ndarray = self.voxels / union
        return ratio


@dataclass(frozen=True)
class _Pairs:
    """The (true, pred) labels of a block, without those of background on both sides."""

    true: np.ndarray
    pred: np.ndarray
    voxels: np.ndarray
    sums: np.ndarray  # sum of the z/y/x indices over the pair's voxels, shape (pairs, 3)


def overlap(true: np.ndarray, pred: np.ndarray) -> Overlap:
    """The overlap table of two label images in memory.

    Args:
        true, pred: integer labels of one shape, (z, y, x) or (y, x); 0 is background.

    Raises:
        InvalidInput: the shapes differ, or an array does not hold labels.
    """
    return overlap_of_blocks([((0, 0, 0), true, pred)])


def overlap_of_blocks(blocks: Iterable[tuple[Index3, np.ndarray, np.ndarray]]) -> Overlap:
    """The overlap table of two label images that are read block by block.

    Args:
        blocks: (origin z/y/x, true labels, predicted labels) of disjoint blocks that cover the image.

    Raises:
        InvalidInput: the shapes of a block differ, or an array does not hold labels.
    """
    parts = [_pairs(origin, true, pred) for origin, true, pred in blocks]
    if not parts:
        raise InvalidInput("There are no voxels to compare.")
    true = np.concatenate([p.true for p in parts])
    pred = np.concatenate([p.pred for p in parts])
    voxels = np.concatenate([p.voxels for p in parts])
    sums = np.concatenate([p.sums for p in parts])
    true_objects, rows = _objects(true, voxels, sums)
    pred_objects, cols = _objects(pred, voxels, sums)
    both = (rows >= 0) & (cols >= 0)
    width = max(1, len(pred_objects))
    keys, inverse = np.unique(rows[both] * width + cols[both], return_inverse=True)
    shared = np.bincount(inverse, weights=voxels[both], minlength=len(keys)).astype(np.int64)
    return Overlap(true_objects, pred_objects, keys // width, keys % width, shared)


def _labels(array: np.ndarray, name: str) -> np.ndarray:
    array = np.asarray(array)
    if array.ndim not in (2, 3) or not (np.issubdtype(array.dtype, np.integer) or array.dtype == bool):
        raise InvalidInput(
            f"The {name} array ({array.dtype}, {array.ndim} axes) does not hold labels.",
            "Labels are integers with the axes y,x or z,y,x, and 0 for the background.",
        )
    volume = array[None] if array.ndim == 2 else array
    if volume.dtype.kind == "i" and volume.size and volume.min() < 0:
        raise InvalidInput(f"The {name} array holds negative labels.", "Labels count from 1, 0 is the background.")
    return volume


def _pairs(origin: Index3, true: np.ndarray, pred: np.ndarray) -> _Pairs:
    a, b = _labels(true, "true"), _labels(pred, "predicted")
    if a.shape != b.shape:
        raise InvalidInput(
            f"True and predicted labels differ in shape: {a.shape} and {b.shape} (z, y, x).",
            "Compare labels of the same image and resolution level.",
        )
    begins = np.ones(a.shape, bool)
    begins[..., 1:] = (a[..., 1:] != a[..., :-1]) | (b[..., 1:] != b[..., :-1])
    start = np.flatnonzero(begins)
    length = np.diff(start, append=a.size)
    at, bt = a.ravel()[start].astype(np.int64), b.ravel()[start].astype(np.int64)
    kept = (at != 0) | (bt != 0)
    start, length, at, bt = start[kept], length[kept], at[kept], bt[kept]
    z, y, x = np.unravel_index(start, a.shape)
    first = [k + o for k, o in zip((z, y, x), origin, strict=True)]
    sums = [first[0] * length, first[1] * length, first[2] * length + length * (length - 1) // 2]
    # Runs of one pair are added up, so that a block leaves behind as much as it has pairs of objects.
    (true_ids, rows), (pred_ids, cols) = np.unique(at, return_inverse=True), np.unique(bt, return_inverse=True)
    keys, inverse = np.unique(rows * max(1, len(pred_ids)) + cols, return_inverse=True)
    voxels, *totals = (np.bincount(inverse, weights=w, minlength=len(keys)) for w in (length, *sums))
    width = max(1, len(pred_ids))
    return _Pairs(true_ids[keys // width], pred_ids[keys % width], voxels.astype(np.int64), np.stack(totals, axis=1))


def _objects(label: np.ndarray, counts: np.ndarray, sums: np.ndarray) -> tuple[Objects, np.ndarray]:
    """The objects of one side, and for each pair the index of its object (-1 for background)."""
    ids, inverse = np.unique(label, return_inverse=True)
    background = int(ids.size > 0 and ids[0] == 0)
    index = inverse - background
    voxels = np.bincount(inverse, weights=counts, minlength=len(ids)).astype(np.int64)[background:]
    totals = [np.bincount(inverse, weights=sums[:, k], minlength=len(ids))[background:] for k in range(3)]
    centroids = np.stack(totals, axis=1) / np.maximum(voxels, 1)[:, None]
    return Objects(ids[background:], voxels, centroids), index
