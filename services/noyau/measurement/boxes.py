"""Bounding boxes of labelled objects, of an array or of a volume that is read block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product

import numpy as np

from noyau.domain.geometry import Box, Index3, as_index

ReadLabels = Callable[[Box], np.ndarray]


def boxes_in(labels: np.ndarray, origin: Sequence[int] = (0, 0, 0)) -> dict[int, Box]:
    """Bounding box of every label but 0, in ascending order of the label.

    Works on runs of equal labels along x, so labels may be any integers (also sparse 64-bit ones).

    Args:
        labels: integers, shape (z, y, x).
        origin: index of the first voxel, added to the boxes.
    """
    if labels.size == 0:
        return {}
    begins = np.ones(labels.shape, bool)
    begins[..., 1:] = labels[..., 1:] != labels[..., :-1]
    start = np.flatnonzero(begins)
    length = np.diff(start, append=labels.size)
    value = labels.ravel()[start]
    kept = value != 0
    start, length, value = start[kept], length[kept], value[kept]
    if len(value) == 0:
        return {}
    order = np.argsort(value, kind="stable")
    ids, first = np.unique(value[order], return_index=True)
    index = np.stack(np.unravel_index(start[order], labels.shape), axis=1) + np.asarray(origin, np.int64)
    low = np.minimum.reduceat(index, first, axis=0)
    index[:, 2] += length[order] - 1
    high = np.maximum.reduceat(index, first, axis=0) + 1
    return {int(i): Box(as_index(a), as_index(b)) for i, a, b in zip(ids, low.tolist(), high.tolist(), strict=True)}


def merge_boxes(parts: Iterator[Mapping[int, Box]] | Sequence[Mapping[int, Box]]) -> dict[int, Box]:
    """The boxes of objects that lie in several blocks, in ascending order of the label."""
    merged: dict[int, Box] = {}
    for part in parts:
        for label, box in part.items():
            known = merged.get(label)
            merged[label] = box if known is None else _union(known, box)
    return dict(sorted(merged.items()))


def objects_of(read_labels: ReadLabels, shape: Index3, unit: Index3) -> dict[int, Box]:
    """Bounding boxes of all objects of a volume, reading one block of `unit` voxels at a time.

    Args:
        read_labels: labels of a box, shape (z, y, x).
        shape: the volume, z/y/x.
        unit: block to read, best a multiple of the stored chunk.
    """
    return merge_boxes(boxes_in(read_labels(box), box.start) for box in blocks(shape, unit))


def blocks(shape: Index3, unit: Index3) -> Iterator[Box]:
    """Boxes of at most `unit` voxels that cover a volume, in raster order."""
    starts = [range(0, n, max(1, u)) for n, u in zip(shape, unit, strict=True)]
    for corner in product(*starts):
        start = as_index(corner)
        yield Box(start, as_index(s + max(1, u) for s, u in zip(start, unit, strict=True))).clipped(shape)


def _union(a: Box, b: Box) -> Box:
    return Box(
        as_index(min(p, q) for p, q in zip(a.start, b.start, strict=True)),
        as_index(max(p, q) for p, q in zip(a.stop, b.stop, strict=True)),
    )
