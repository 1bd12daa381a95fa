"""Shapes that people draw -> pixels. A pixel belongs to a shape when its centre lies inside."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np
from skimage import draw

from noyau.domain.errors import InvalidInput

Points = np.ndarray
"""x and y, (n, 2), in OMERO's coordinates: the centre of pixel (0, 0) is at 0.5, 0.5."""
_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_PAIR = re.compile(rf"({_NUMBER})\s*,\s*({_NUMBER})")


@dataclass(frozen=True)
class Patch:
    """Pixels of one plane.

    Attributes:
        y, x: first row and column.
        pixels: booleans (height, width).
    """

    y: int
    x: int
    pixels: np.ndarray


@dataclass(frozen=True)
class Transform:
    """An affine map: x' = a00 x + a01 y + a02, y' = a10 x + a11 y + a12."""

    a00: float = 1.0
    a10: float = 0.0
    a01: float = 0.0
    a11: float = 1.0
    a02: float = 0.0
    a12: float = 0.0

    @property
    def is_identity(self) -> bool:
        return self == Transform()

    def apply(self, points: Points) -> Points:
        """Points where the map takes them."""
        x, y = points[:, 0], points[:, 1]
        return np.stack([self.a00 * x + self.a01 * y + self.a02, self.a10 * x + self.a11 * y + self.a12], axis=1)

    def undo(self, points: Points) -> Points:
        """Points that the map takes here.

        Raises:
            InvalidInput: it flattens the plane.
        """
        determinant = self.a00 * self.a11 - self.a01 * self.a10
        if abs(determinant) < 1e-12:
            raise InvalidInput("A shape has a transform that flattens it.")
        x, y = points[:, 0] - self.a02, points[:, 1] - self.a12
        return np.stack([self.a11 * x - self.a01 * y, self.a00 * y - self.a10 * x], axis=1) / determinant


def polygon_patch(text: str, transform: Transform, height: int, width: int) -> Patch | None:
    """The inside of a polygon given as OMERO keeps it, `x,y x,y ...`; None where it is outside the image or empty."""
    corners = np.array([[float(x), float(y)] for x, y in _PAIR.findall(text)])
    if len(corners) < 3:
        return None
    placed = transform.apply(corners)
    # From OMERO's coordinates to pixel indices, whose centres are whole numbers.
    fill: Any = draw.polygon
    rows, columns = fill(placed[:, 1] - 0.5, placed[:, 0] - 0.5, (height, width))
    if len(rows) == 0:
        return None
    y, x = int(rows.min()), int(columns.min())
    pixels = np.zeros((int(rows.max()) - y + 1, int(columns.max()) - x + 1), bool)
    pixels[rows - y, columns - x] = True
    return Patch(y, x, pixels)


def rectangle_patch(
    x: float, y: float, w: float, h: float, transform: Transform, height: int, width: int
) -> Patch | None:
    """The inside of a rectangle."""

    def inside(points: Points) -> np.ndarray:
        px, py = points[:, 0], points[:, 1]
        return (px >= x) & (px < x + w) & (py >= y) & (py < y + h)

    return _patch(inside, (x, y, x + w, y + h), transform, height, width)


def ellipse_patch(
    x: float, y: float, rx: float, ry: float, transform: Transform, height: int, width: int
) -> Patch | None:
    """The inside of an ellipse with its centre at x, y."""
    if rx <= 0 or ry <= 0:
        return None

    def inside(points: Points) -> np.ndarray:
        return ((points[:, 0] - x) / rx) ** 2 + ((points[:, 1] - y) / ry) ** 2 <= 1.0

    return _patch(inside, (x - rx, y - ry, x + rx, y + ry), transform, height, width)


def point_patch(x: float, y: float, transform: Transform, height: int, width: int) -> Patch | None:
    """The pixel in which a point lies."""
    px, py = transform.apply(np.array([[x, y]]))[0]
    column, row = floor(px), floor(py)
    return Patch(row, column, np.ones((1, 1), bool)) if 0 <= row < height and 0 <= column < width else None


def _patch(
    inside: Callable[[Points], np.ndarray],
    bounds: tuple[float, float, float, float],
    transform: Transform,
    height: int,
    width: int,
) -> Patch | None:
    """Tests the pixel centres around a shape, each taken back to where the shape was before its transform.

    Args:
        inside: tells which points lie in the shape.
        bounds: smallest x and y, largest x and y of the shape before its transform.
        transform: of the shape.
        height, width: of the image.
    """
    x0, y0, x1, y1 = bounds
    corners = transform.apply(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]))
    left, top = (max(0, floor(v)) for v in corners.min(axis=0))
    right, bottom = (min(n, ceil(v)) for n, v in zip((width, height), corners.max(axis=0), strict=True))
    if left >= right or top >= bottom:
        return None
    rows, columns = np.mgrid[top:bottom, left:right]
    centres = np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], axis=1)
    pixels = inside(transform.undo(centres)).reshape(rows.shape)
    return Patch(top, left, pixels) if pixels.any() else None
