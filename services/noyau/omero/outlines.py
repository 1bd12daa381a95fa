"""Outlines of objects as polygons, plane by plane, and points at their centres.

OMERO's coordinates: pixel (0, 0) is the square from 0 to 1 in both directions, so its centre is at 0.5, 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from skimage import measure

from noyau.domain.geometry import Index3

TOLERANCE = 0.5
"""Pixels that a simplified outline may be away from the exact one: half a pixel, below what a screen shows."""


@dataclass(frozen=True)
class Outline:
    """A closed polygon in one plane.

    Attributes:
        z: plane.
        points: x and y of its corners, (n, 2), in OMERO's coordinates; the last is not the first again.
    """

    z: int
    points: np.ndarray

    @property
    def text(self) -> str:
        """As OMERO's Polygon keeps it: `x,y x,y ...`, hundredths of a pixel."""
        return " ".join(f"{x:.2f},{y:.2f}" for x, y in self.points)


def object_outlines(crop: np.ndarray, label: int, origin: Index3, tolerance: float = TOLERANCE) -> tuple[Outline, ...]:
    """The outer outlines of one object, one for each part of it in each plane. Holes are filled.

    Args:
        crop: labels around the object, z/y/x.
        label: number of the object.
        origin: z/y/x of the crop's first voxel.
        tolerance: no point of the exact outline is farther than this from the simplified one, pixels
            (Douglas and Peucker 1973). 0 keeps every corner; filling it then gives the object's pixels exactly.
    """
    inside = np.pad(crop == label, ((0, 0), (1, 1), (1, 1)))
    found = []
    for z in range(inside.shape[0]):
        if inside[z].any():
            rings = _contours(inside[z])
            found += [_outline(ring, origin[0] + z, origin, tolerance) for ring in rings if _area(ring) > 0]
    return tuple(found)


def centre_of(crop: np.ndarray, label: int, origin: Index3) -> tuple[int, float, float]:
    """A point in the middle of an object that is certain to lie in it: plane, and x and y in OMERO's coordinates.

    It is the centre of the object's voxel that is nearest to its centroid.

    Args:
        crop: labels around the object, z/y/x; the object is in it.
        label: number of the object.
        origin: z/y/x of the crop's first voxel.
    """
    voxels = np.argwhere(crop == label)
    distance = ((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1)
    z, y, x = (int(v) + o for v, o in zip(voxels[int(distance.argmin())], origin, strict=True))
    return z, x + 0.5, y + 0.5


def _contours(plane: np.ndarray) -> list[np.ndarray]:
    """Closed rings (n, 2) of row and column around the pixels and around their holes."""
    trace: Any = measure.find_contours
    return list(trace(plane.astype(np.uint8), 0.5))


def _outline(ring: np.ndarray, z: int, origin: Index3, tolerance: float) -> Outline:
    simplify: Any = measure.approximate_polygon
    kept = simplify(ring, tolerance) if tolerance > 0 else ring
    if len(kept) < 4:  # a triangle, closed: anything less has no area
        kept = ring
    # Minus one for the padding, plus a half from pixel indices to OMERO's coordinates.
    shift = np.array([origin[1] - 0.5, origin[2] - 0.5])
    return Outline(z, (kept[:-1] + shift)[:, ::-1])


def _area(ring: np.ndarray) -> float:
    """Signed area by the shoelace formula: positive for an outer ring, negative for the rim of a hole."""
    y, x = ring[:, 0], ring[:, 1]
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2
