"""True objects that only mark where a nucleus is, without its outline: they can be found but not outlined."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from noyau.training.overlap import Objects, Overlap


def without_marks(table: Overlap, below: int) -> Overlap:
    """Leaves out true objects that are too small to be outlines, and the predictions that lie on them.

    What was predicted there may be right or wrong; the truth does not say. So neither side is counted, as for objects
    that other benchmarks call difficult.

    Args:
        table: overlap of the labels of one image.
        below: true objects of fewer voxels are marks; 0 leaves the table as it is.

    Returns:
        The table without the marks and without predictions that share more voxels with marks than with any other
        true object.
    """
    marks = table.true.voxels < below
    on_marks, on_others = np.zeros(len(table.pred)), np.zeros(len(table.pred))
    marked = marks[table.rows]
    np.maximum.at(on_marks, table.cols[marked], table.voxels[marked])
    np.maximum.at(on_others, table.cols[~marked], table.voxels[~marked])
    true, pred = ~marks, on_marks <= on_others
    kept = true[table.rows] & pred[table.cols]
    return replace(
        table,
        true=_only(table.true, true),
        pred=_only(table.pred, pred),
        rows=_renumbered(table.rows[kept], true),
        cols=_renumbered(table.cols[kept], pred),
        voxels=table.voxels[kept],
    )


def _only(objects: Objects, kept: np.ndarray) -> Objects:
    return Objects(objects.ids[kept], objects.voxels[kept], objects.centroids[kept])


def _renumbered(index: np.ndarray, kept: np.ndarray) -> np.ndarray:
    numbers: np.ndarray = np.cumsum(kept)[index] - 1
    return numbers
