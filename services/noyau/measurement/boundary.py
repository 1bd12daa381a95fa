"""The smooth boundary of a voxel mask: surface in 3D, outline in 2D.

The staircase of a voxel mask has too much surface, so the mask is smoothed with a Gaussian before marching cubes
(Lorensen & Cline 1987; scikit-image's variant by Lewiner). Smoothing at a fixed level of 1/2 shrinks whatever is
convex (a sphere of radius R by about sigma^2 / R), so the level is chosen such that as many voxels lie above it as
the mask has: the surface encloses the counted volume. What cannot be right is mended last: no body has less surface
than the ball of its volume.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.measure import find_contours, marching_cubes

# Sigma is one voxel, and at least half the coarsest spacing: terraces of thick planes are wider than a voxel.
SIGMA_VOXELS = 1.0
SIGMA_OF_COARSEST = 0.5
# A larger crop is averaged in blocks first: the partial voxels at its rim make it both faster and more exact.
MAX_CROP_VOXELS = 1 << 16


Spacing = Sequence[float] | np.ndarray


@dataclass(frozen=True)
class Boundary:
    """Boundary of one object, in micrometres.

    Attributes:
        measure: surface (um2) in 3D, perimeter (um) in 2D.
        enclosed: volume (um3) or area (um2) inside it.
        points: vertices relative to the first voxel of the mask, shape (n, 3) z/y/x or (n, 2) y/x.
    """

    measure: float
    enclosed: float
    points: np.ndarray


def surface(mask: np.ndarray, spacing: Spacing) -> Boundary:
    """Smoothed marching cubes of a mask.

    Against analytic bodies at 1:1 to 5:1 anisotropy: spheres and ellipsoids of five or more voxels per radius are
    within 3 %, boxes up to 10 % low at their rounded edges.

    Args:
        mask: bool, shape (z, y, x), the object's bounding box.
        spacing: micrometres z/y/x.
    """
    field, level, step, origin = _smoothed(mask, spacing)
    points, faces, _, _ = marching_cubes(field, level, spacing=tuple(step), allow_degenerate=False)  # type: ignore[no-untyped-call]
    points = points.astype(np.float64) + origin
    a, b, c = (points[faces[:, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    area = 0.5 * float(np.sqrt((cross * cross).sum(axis=1)).sum())
    enclosed = abs(float((cross * a).sum())) / 6
    volume = float(mask.sum()) * float(np.prod(spacing))
    return Boundary(max(area, (36 * np.pi * volume**2) ** (1 / 3)), enclosed, points)


def outline(mask: np.ndarray, spacing: Spacing) -> Boundary:
    """Smoothed marching squares of a 2D mask.

    Args:
        mask: bool, shape (y, x), the object's bounding box.
        spacing: micrometres y/x.
    """
    field, level, step, origin = _smoothed(mask, spacing)
    contours = [c * step + origin for c in find_contours(field, level)]  # type: ignore[no-untyped-call]
    length = sum(float(np.sqrt((np.diff(c, axis=0) ** 2).sum(axis=1)).sum()) for c in contours)
    signed = sum(float((c[:-1, 0] * c[1:, 1] - c[1:, 0] * c[:-1, 1]).sum()) / 2 for c in contours)
    area = float(mask.sum()) * float(np.prod(spacing))
    return Boundary(max(length, 2 * np.sqrt(np.pi * area)), abs(signed), np.concatenate(contours))


def _smoothed(mask: np.ndarray, spacing: Spacing) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
    """The smoothed mask, the level that keeps its volume, its spacing and the position of its first voxel."""
    step = np.asarray(spacing, np.float64)
    first = np.zeros(mask.ndim)
    field: np.ndarray = mask
    if mask.size > MAX_CROP_VOXELS:
        field, factors = _coarsened(mask)
        first = (factors - 1) / 2 * step
        step = step * factors
    sigma = np.maximum(SIGMA_VOXELS, SIGMA_OF_COARSEST * step.max() / step)
    margin = np.ceil(2.5 * sigma).astype(int) + 1
    inside = float(field.sum())
    padded = np.pad(field.astype(np.float32), [(m, m) for m in margin])
    smooth = gaussian_filter(padded, sigma, truncate=2.5)
    return smooth, _level(smooth, round(inside)), step, first - margin * step


def _level(smooth: np.ndarray, inside: int) -> float:
    """The value that `inside` voxels exceed, halfway to the next lower one."""
    values = smooth[smooth > 0.05]
    if len(values) <= inside + 1:
        values = smooth.ravel()
    at = len(values) - max(inside, 1)
    parted = np.partition(values, [at - 1, at])
    return (float(parted[at - 1]) + float(parted[at])) / 2


def _coarsened(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Block means of a large mask and the block's size per axis; longer axes are averaged first."""
    factors = np.ones(mask.ndim, int)
    while np.prod(-(-np.array(mask.shape) // factors)) > MAX_CROP_VOXELS:
        factors[np.argmax(np.array(mask.shape) / factors)] += 1
    pad = [(0, -n % f) for n, f in zip(mask.shape, factors, strict=True)]
    means: np.ndarray = np.pad(mask, pad).astype(np.float32)
    for axis, factor in enumerate(factors):
        starts = np.arange(0, means.shape[axis], factor)
        means = np.add.reduceat(means, starts, axis=axis) / np.float32(factor)
    return means, factors
