"""Shape of one object from its mask: volume, surface, ellipsoid, convexity and Feret diameter.

NucleusJ's parameters (Dubos et al. 2020) under names that say what they are; TANGO calls `sphericity_nucleusj`
compactness.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from noyau.domain.geometry import Box
from noyau.measurement.boundary import outline, surface

FERET_DIRECTIONS = 256
HULL_DIRECTIONS = 512


def shape_3d(mask: np.ndarray, spacing: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """Shape columns of a 3D object, and its centroid in voxels of the mask.

    Args:
        mask: bool, shape (z, y, x), the object's bounding box.
        spacing: micrometres z/y/x.
    """
    voxels = int(np.count_nonzero(mask))
    volume = voxels * float(np.prod(spacing))
    boundary = surface(mask, spacing)
    convex = max(_hull_volume(boundary.points), boundary.enclosed)
    centre, values, axis = _ellipsoid(mask, spacing)
    radii = np.sqrt(5 * values)
    compactness = 36 * np.pi * volume**2 / boundary.measure**3
    return {
        "voxels": voxels,
        "volume_um3": volume,
        "equivalent_radius_um": (3 * volume / (4 * np.pi)) ** (1 / 3),
        "surface_um2": boundary.measure,
        "sphericity_nucleusj": compactness,
        "sphericity": compactness ** (1 / 3),
        "elongation": np.sqrt(values[0] / values[1]),
        "flatness": np.sqrt(values[1] / values[2]),
        "ellipsoid_radius1_um": radii[0],
        "ellipsoid_radius2_um": radii[1],
        "ellipsoid_radius3_um": radii[2],
        "major_axis_z": axis[0],
        "major_axis_y": axis[1],
        "major_axis_x": axis[2],
        "azimuth_deg": np.degrees(np.arctan2(axis[1], axis[2])),
        "elevation_deg": np.degrees(np.arcsin(np.clip(axis[0], -1, 1))),
        "convex_volume_um3": convex,
        "solidity": boundary.enclosed / convex,
        "feret_max_um": feret(boundary.points),
    }, centre


def shape_2d(mask: np.ndarray, spacing: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """Shape columns of a 2D object, and its centroid in pixels of the mask; arguments with y/x axes."""
    pixels = int(np.count_nonzero(mask))
    area = pixels * float(np.prod(spacing))
    boundary = outline(mask, spacing)
    convex = max(_hull_volume(boundary.points), boundary.enclosed)
    centre, values, axis = _ellipsoid(mask, spacing)
    radii = 2 * np.sqrt(values)
    return {
        "pixels": pixels,
        "area_um2": area,
        "equivalent_radius_um": np.sqrt(area / np.pi),
        "perimeter_um": boundary.measure,
        "circularity": 4 * np.pi * area / boundary.measure**2,
        "elongation": np.sqrt(values[0] / values[1]),
        "ellipse_radius1_um": radii[0],
        "ellipse_radius2_um": radii[1],
        "orientation_deg": np.degrees(np.arctan2(axis[0], axis[1])),
        "convex_area_um2": convex,
        "solidity": boundary.enclosed / convex,
        "feret_max_um": feret(boundary.points),
    }, centre


def feret(points: np.ndarray) -> float:
    """Largest distance between two points, micrometres.

    The widest of 256 directions, then improved by walking from one farthest point to the next; at most 0.2 % short.
    """
    projected = _directions(points.shape[1], FERET_DIRECTIONS) @ points.T
    widest = int(np.argmax(projected.max(axis=1) - projected.min(axis=1)))
    end, longest = points[int(np.argmax(projected[widest]))], 0.0
    for _ in range(8):
        distance = ((points - end) ** 2).sum(axis=1)
        far = int(np.argmax(distance))
        if distance[far] <= longest:
            break
        longest, end = float(distance[far]), points[far]
    return float(np.sqrt(longest))


def _ellipsoid(mask: np.ndarray, spacing: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centroid (voxels), covariance eigenvalues (um2, descending) and the major axis (unit vector).

    Voxel centres sample a smooth body without bias; only an axis along which the object is a single voxel thick gets
    the variance of that voxel (spacing^2 / 12), so that ratios stay finite.
    """
    index = np.stack(np.nonzero(mask), axis=1)
    mean = index.mean(axis=0)
    offset = (index - mean) * spacing
    covariance = offset.T @ offset / len(index)
    thin = np.diag(covariance) < spacing**2 / 12
    covariance[thin, thin] = (spacing**2 / 12)[thin]
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, spacing.min() ** 2 / 12)
    axis = vectors[:, -1]
    # An axis has no sign; the last component that is not zero is made positive.
    leading = axis[np.flatnonzero(np.abs(axis) > 1e-9)[-1]]
    return mean, values[::-1], axis if leading > 0 else -axis


def position(centre: np.ndarray, box: Box, spacing: np.ndarray, axes: str) -> dict[str, float]:
    """Centroid and bounding box; in micrometres the centre of voxel 0 is at 0 (the convention of OME-NGFF).

    Args:
        centre: centroid in voxels of the image, one number per axis.
        box: bounding box, always z/y/x.
        spacing: micrometres, one number per axis.
        axes: `zyx` or `yx`.
    """
    start, stop = box.start[-len(axes) :], box.stop[-len(axes) :]
    out: dict[str, float] = {}
    for k, name in enumerate(axes):
        out[f"centroid_{name}_um"] = centre[k] * spacing[k]
    for k, name in enumerate(axes):
        out[f"centroid_{name}_voxel"] = centre[k]
    for k, name in enumerate(axes):
        out[f"bbox_{name}_start_voxel"] = start[k]
        out[f"bbox_{name}_stop_voxel"] = stop[k]
    for k, name in enumerate(axes):
        out[f"bbox_{name}_start_um"] = (start[k] - 0.5) * spacing[k]
        out[f"bbox_{name}_stop_um"] = (stop[k] - 0.5) * spacing[k]
    return out


def _hull_volume(points: np.ndarray) -> float:
    """Volume (3D) or area (2D) of the convex hull of the points farthest in 512 directions; 0 where it is flat.

    Leaving out the other vertices makes the hull less than 1 % smaller and several times faster.
    """
    if points.shape[1] == 3 and len(points) > HULL_DIRECTIONS:
        points = points[np.unique(np.argmax(_directions(3, HULL_DIRECTIONS) @ points.T, axis=1))]
    try:
        return float(ConvexHull(points).volume)
    except QhullError:
        return 0.0


@lru_cache(maxsize=4)
def _directions(ndim: int, number: int) -> np.ndarray:
    """Evenly spread unit vectors, shape (number, ndim): a Fibonacci lattice on the sphere, or a circle."""
    k = np.arange(number) + 0.5
    if ndim == 2:
        angle = 2 * np.pi * k / number
        return np.stack([np.sin(angle), np.cos(angle)], axis=1)
    polar, turn = np.arccos(1 - 2 * k / number), np.pi * (1 + 5**0.5) * k
    return np.stack([np.cos(polar), np.sin(polar) * np.sin(turn), np.sin(polar) * np.cos(turn)], axis=1)
