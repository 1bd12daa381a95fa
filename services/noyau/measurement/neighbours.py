"""Which objects touch, how far the next ones are and how crowded it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import KDTree

NEAREST = 5


def contacts(labels: np.ndarray, ids: Sequence[int], spacing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Touching neighbours and contact of the objects `ids`, which must lie in `labels` with a voxel to spare.

    Two objects touch when they share a face of a voxel. The contact is the sum of these faces, so an oblique contact
    counts as its staircase (up to 1.7 times the smooth area).

    Args:
        labels: integers, shape (z, y, x), or (y, x) for 2D.
        ids: ascending labels.
        spacing: micrometres per axis of `labels`.

    Returns:
        Number of neighbours, and contact in um2 (2D: um), one per id.
    """
    face = [float(np.prod(np.delete(spacing, axis))) for axis in range(labels.ndim)]
    pairs = [_faces(labels, axis) for axis in range(labels.ndim)]
    wanted = np.asarray(ids, dtype=np.int64)
    number, area = np.zeros(len(wanted), np.int64), np.zeros(len(wanted))
    one = np.concatenate([p[0] for p in pairs])
    if len(one) == 0 or len(wanted) == 0:
        return number, area
    other = np.concatenate([p[1] for p in pairs])
    at = np.minimum(np.searchsorted(wanted, one), len(wanted) - 1)
    ours = wanted[at] == one
    linked = np.unique(np.stack([at[ours], other[ours]], axis=1), axis=0)
    np.add.at(number, linked[:, 0], 1)
    begin = 0
    for axis, (ends, _) in enumerate(pairs):
        part = slice(begin, begin + len(ends))
        area += face[axis] * np.bincount(at[part][ours[part]], minlength=len(wanted))
        begin += len(ends)
    return number, area


def distances(centroids: np.ndarray, ndim: int) -> dict[str, np.ndarray]:
    """Distance to the next centroids and local density; NaN where there is no other object.

    The density is k / (volume of the ball that reaches the k-th neighbour), k = 5 or as many as there are.

    Args:
        centroids: micrometres, shape (n, ndim).
        ndim: 2 or 3.
    """
    n = len(centroids)
    k = min(NEAREST, n - 1)
    unit = "mm3" if ndim == 3 else "mm2"
    if k < 1:
        nothing = np.full(n, np.nan)
        names = ("nearest_distance_um", f"nearest{NEAREST}_distance_um", f"local_density_per_{unit}")
        return {name: nothing.copy() for name in names}
    found, _ = KDTree(centroids).query(centroids, k=k + 1)
    reach = found[:, k]
    ball = 4 / 3 * np.pi * reach**3 if ndim == 3 else np.pi * reach**2
    with np.errstate(divide="ignore"):
        density = np.where(ball > 0, k / ball * 1000.0**ndim, np.nan)
    return {
        "nearest_distance_um": found[:, 1],
        f"nearest{NEAREST}_distance_um": found[:, 1:].mean(axis=1),
        f"local_density_per_{unit}": density,
    }


def _faces(labels: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Both sides of every voxel face between two objects along an axis, each face once from either side."""
    low = labels[(slice(None),) * axis + (slice(None, -1),)]
    high = labels[(slice(None),) * axis + (slice(1, None),)]
    touching = (low != high) & (low != 0) & (high != 0)
    a, b = low[touching].astype(np.int64), high[touching].astype(np.int64)
    return np.concatenate([a, b]), np.concatenate([b, a])
