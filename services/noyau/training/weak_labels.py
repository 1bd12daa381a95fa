"""Points and boxes as training labels: guessed shapes, of which only what is certain is known.

A nucleus that somebody marked with a point or a box becomes an ellipsoid of its likely size, so that every objective
(offsets, star-convex distances, flows, borders) finds whole objects. But only its core counts as known nucleus, and
its rim, where the guess may be wrong, is unknown: nothing is learnt from it. Background is known outside of all
boxes, and far from all points where the annotator says that every nucleus has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from noyau.training.targets import Objects

# Shares of the half axes: what is nucleus for sure, and beyond what a complete set of points leaves background.
BOX_CORE = 0.6
POINT_CORE = 0.55
POINT_FAR = 1.7
# A core is never thinner than this, or tiny nuclei would have none.
_LEAST_CORE = 0.75
_LEAST_RADIUS = 1.5
# Largest radius, in voxels, that is looked for around a point.
_REACH = 40


@dataclass(frozen=True)
class WeakLabels:
    """What points or boxes say of an image.

    Attributes:
        labels: guessed shapes with ids 1..n, int32.
        known: bool, where the labels can be relied on.
        objects: exact centres, likely sizes.
    """

    labels: np.ndarray
    known: np.ndarray
    objects: Objects


def from_points(
    points: np.ndarray, shape: tuple[int, ...], radii: Sequence[float] | np.ndarray, *, complete: bool
) -> WeakLabels:
    """Balls around centres.

    Args:
        points: voxels, shape (n, ndim).
        shape: of the image.
        radii: likely half axes of a nucleus in voxels, one per axis.
        complete: every nucleus has its point.
    """
    axes = np.broadcast_to(np.asarray(radii, np.float64), points.shape)
    painted = _paint(points, axes, shape, POINT_CORE, POINT_FAR)
    known = painted.core | (painted.far if complete else False)
    return WeakLabels(painted.labels, known, _objects(points, axes))


def from_boxes(boxes: np.ndarray, shape: tuple[int, ...]) -> WeakLabels:
    """Ellipsoids inside boxes; what is outside of all boxes is background.

    Args:
        boxes: first and last corner, half open, shape (n, 2 * ndim).
        shape: of the image.
    """
    ndim = len(shape)
    low, high = boxes[:, :ndim].astype(np.float64), boxes[:, ndim:].astype(np.float64)
    centres, axes = (low + high - 1) / 2, np.maximum((high - low) / 2, 0.5)
    painted = _paint(centres, axes, shape, BOX_CORE, np.inf)
    outside = np.ones(shape, bool)
    for first, last in zip(np.floor(low).astype(int), np.ceil(high).astype(int), strict=True):
        # One voxel more: annotators draw boxes tightly.
        outside[tuple(slice(max(a - 1, 0), b + 1) for a, b in zip(first, last, strict=True))] = False
    return WeakLabels(painted.labels, painted.core | outside, _objects(centres, axes))


def estimate_radius(image: np.ndarray, points: np.ndarray, spacing: Sequence[float]) -> float:
    """Typical radius of a nucleus around its point, in voxels of the last axis.

    The mean brightness in the plane around each point falls from the nucleus to the background; the radius is where
    it has fallen half-way. It is at most half the typical distance between neighbours: nuclei do not overlap.

    Args:
        image: z/y/x or y/x.
        points: voxels, shape (n, ndim).
        spacing: relative size of the voxels, one per axis.
    """
    scale = np.asarray(spacing, np.float64) / float(spacing[-1])
    limit = min(float(_REACH), min(image.shape[-2:]) / 4)
    if len(points) > 1:
        distances, _ = cKDTree(points * scale).query(points * scale, k=2)
        limit = min(limit, float(np.median(distances[:, 1])) / 2)
    estimates = [_half_fall(image, point) for point in points[:: max(1, len(points) // 200)]]
    found = [r for r in estimates if r is not None]
    return float(np.clip(np.median(found) if found else limit, _LEAST_RADIUS, max(limit, _LEAST_RADIUS)))


def _half_fall(image: np.ndarray, point: np.ndarray) -> float | None:
    """Radius at which the ring mean has fallen half-way; None where the profile is flat or rises."""
    at = np.clip(np.rint(point).astype(int), 0, np.array(image.shape) - 1)
    plane = image[at[0]] if image.ndim == 3 else image
    reach = _REACH
    y, x = at[-2:]
    window = plane[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1].astype(np.float64)
    rows, columns = np.indices(window.shape)
    distance = np.hypot(rows - min(y, reach), columns - min(x, reach))
    ring = np.minimum(np.rint(distance).astype(int), reach)
    counts = np.bincount(ring.ravel(), minlength=reach + 1)
    profile = np.bincount(ring.ravel(), window.ravel(), minlength=reach + 1) / np.maximum(counts, 1)
    top, bottom = profile[:3].max(), np.percentile(window, 10)
    if top <= bottom:
        return None
    below = np.flatnonzero(profile < (top + bottom) / 2)
    return float(below[0]) if len(below) and below[0] > 0 else None


@dataclass(frozen=True)
class _Painted:
    """Ids of the nearest ellipsoid, voxels inside exactly one core, and voxels far from all of them."""

    labels: np.ndarray
    core: np.ndarray
    far: np.ndarray


def _paint(centres: np.ndarray, axes: np.ndarray, shape: tuple[int, ...], core: float, reach: float) -> _Painted:
    labels = np.zeros(shape, np.int32)
    nearest = np.full(shape, np.inf, np.float32)
    cores = np.zeros(shape, np.uint8)
    far = np.ones(shape, bool)
    window = max(1.0, reach if np.isfinite(reach) else 1.0)
    for number, (centre, half) in enumerate(zip(centres, axes, strict=True), start=1):
        low = np.maximum(np.floor(centre - window * half).astype(int), 0)
        high = np.minimum(np.ceil(centre + window * half).astype(int) + 1, shape)
        if (low >= high).any():
            continue
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        steps = np.ogrid[box]
        squares = [((g - c) / a) ** 2 for g, c, a in zip(steps, centre, half, strict=True)]
        distance = sum(squares[1:], squares[0]).astype(np.float32)
        inner = sum(((g - c) / max(core * a, _LEAST_CORE)) ** 2 for g, c, a in zip(steps, centre, half, strict=True))
        cores[box] = np.minimum(cores[box] + (inner <= 1), 2)
        far[box] &= distance > window**2
        closer = (distance <= 1) & (distance < nearest[box])
        nearest[box][closer] = distance[closer]
        labels[box][closer] = number
    return _Painted(labels, (cores == 1) & (labels > 0), far)


def _objects(centres: np.ndarray, axes: np.ndarray) -> Objects:
    count = len(centres)
    radii = np.exp(np.log(np.maximum(axes, 0.5)).mean(1)) if count else np.zeros(0)
    return Objects(np.arange(1, count + 1), centres.astype(np.float64), radii, np.ones(count, bool))
