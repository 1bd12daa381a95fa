"""Random draws and smooth random fields. Sums avoid BLAS, whose rounding depends on the number of threads."""

from __future__ import annotations

from math import exp, log

import numpy as np

from noyau.domain.geometry import Index3


def uniform(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    """A value between the bounds, every value as likely."""
    return float(rng.uniform(*bounds))


def log_uniform(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    """A value between two positive bounds, every ratio as likely."""
    return exp(rng.uniform(log(bounds[0]), log(bounds[1])))


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """A uniform random 3x3 rotation from a normalised quaternion (Shoemake 1992)."""
    w, x, y, z = (q := rng.normal(size=4)) / np.sqrt((q * q).sum())
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def smooth_field(rng: np.random.Generator, shape: Index3, orders: Index3) -> np.ndarray:
    """A smooth random field of zero mean and unit standard deviation.

    A random combination of the lowest cosines along each axis, weighted 1/(1+|k|).

    Args:
        rng: source of the coefficients.
        shape: z/y/x.
        orders: number of cosines along z/y/x; 1 means constant along that axis.

    Returns:
        float32 (Z, Y, X).
    """
    k = np.sqrt(sum(g.astype(float) ** 2 for g in np.ogrid[: orders[0], : orders[1], : orders[2]]))
    coefficients = (rng.normal(size=orders) / (1 + k)).astype(np.float32)
    coefficients[0, 0, 0] = 0
    z, y, x = (_cosines(n, order) for n, order in zip(shape, orders, strict=True))
    values = np.einsum("abc,za->zbc", coefficients, z, optimize=False)
    values = np.einsum("zbc,yb->zyc", values, y, optimize=False)
    values = np.einsum("zyc,xc->zyx", values, x, optimize=False)
    spread = float(values.std())
    return np.asarray(values / spread if spread > 0 else values, dtype=np.float32)


def _cosines(length: int, order: int) -> np.ndarray:
    positions = (np.arange(length) + 0.5) / length
    return np.cos(np.pi * positions[:, None] * np.arange(order)).astype(np.float32)
