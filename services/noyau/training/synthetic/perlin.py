"""Gradient noise that repeats itself, as a table to look values up in.

Perlin 1985 (doi:10.1145/325165.325247) with the smoother fade of 2002 (doi:10.1145/566654.566636): every point of a
lattice has a random direction, and the value between them blends the slopes along these directions. It is 0 at the
lattice points, so that it has features of one size, and octaves of it features of several.
"""

from __future__ import annotations

from itertools import product

import numpy as np

CELLS = 12
"""Cells of the lattice along each axis, after which the noise repeats itself: more than a nucleus is wide."""
SAMPLES = 4
"""Values of the table per cell and axis; between them a linear interpolation is near enough."""


def perlin_cube(rng: np.random.Generator) -> np.ndarray:
    """Periodic gradient noise, float32 (CELLS * SAMPLES,) * 3, of unit standard deviation; sample 0 is a lattice point.

    Args:
        rng: draws the directions.
    """
    gradients = _directions(rng)
    inside = np.tile(np.arange(SAMPLES, dtype=np.float32) / SAMPLES, CELLS)
    total = np.zeros((CELLS * SAMPLES,) * 3, np.float32)
    for corner in product((0, 1), repeat=3):
        slope, weight = np.zeros_like(total), np.ones_like(total)
        at = np.roll(gradients, [-c for c in corner], (1, 2, 3))
        for axis in range(3):
            shape = [1, 1, 1]
            shape[axis] = -1
            away = (inside - corner[axis]).reshape(shape)
            slope += _spread(at[axis]) * away
            weight *= _fade(1 - np.abs(away))
        total += slope * weight
    return np.asarray(total / total.std())


def _directions(rng: np.random.Generator) -> np.ndarray:
    """A unit vector at each point of the lattice, float32 (3, CELLS, CELLS, CELLS)."""
    found = rng.normal(size=(3, CELLS, CELLS, CELLS)).astype(np.float32)
    return np.asarray(found / np.maximum(np.sqrt((found**2).sum(axis=0)), np.float32(1e-6)))


def _spread(values: np.ndarray) -> np.ndarray:
    """The value of a cell at each of its samples."""
    for axis in range(3):
        values = values.repeat(SAMPLES, axis)
    return values


def _fade(t: np.ndarray) -> np.ndarray:
    """6 t^5 - 15 t^4 + 10 t^3: 0 to 1 without a kink or a bend at either end."""
    return np.asarray(t * t * t * (t * (t * 6 - 15) + 10))
