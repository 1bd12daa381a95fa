"""Synthetic predictions and a slow, obvious decoder to compare with."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import ceil, comb, prod

import numpy as np
import pytest
from noyau.domain.geometry import Index3
from noyau.domain.model import VoteParams

Cell = tuple[int, ...]


def random_prediction(seed: int, shape: Index3, *, nuclei: int = 12, noise: float = 1.5) -> np.ndarray:
    """Balls with offsets to their middles, rounded and noisy, and some foreground that points anywhere."""
    rng = np.random.default_rng(seed)
    pred = np.zeros((4, *shape), np.uint8)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"))
    for _ in range(nuclei):
        middle = rng.uniform(-2, np.array(shape) + 2)
        offset = middle[:, None, None, None] - grid
        inside = (offset**2).sum(axis=0) <= rng.uniform(2, 7) ** 2
        noisy = np.clip(np.rint(offset + rng.normal(0, noise, offset.shape)), -127, 127).astype(np.int8)
        pred[0][inside] = rng.integers(100, 256, int(inside.sum()))
        pred[1:, inside] = noisy.view(np.uint8)[:, inside]
    stray = rng.random(shape) < 0.02
    pred[:, stray] = rng.integers(0, 256, (4, int(stray.sum())))
    pred[1:, pred[0] == 0] = 0
    if shape[0] == 1:
        pred[1] = 0
    return pred


def slow_decode(pred: np.ndarray, params: VoteParams) -> np.ndarray:
    """The decoder's definition, voxel by voxel, in Python integers, for a whole image."""
    shape = pred.shape[1:]
    fg = pred[0] >= min(255, max(1, ceil(params.foreground * 255)))
    radii = [r if n > 1 else 0 for r, n in zip(params.smooth, shape, strict=True)]
    votes = {}
    raw = np.zeros(shape, object)
    for voxel in map(tuple, np.argwhere(fg).tolist()):
        offset = pred[(slice(1, 4), *voxel)].view(np.int8).tolist()
        step = [max(-m, min(m, o)) for o, m in zip(offset, params.max_offset, strict=True)]
        votes[voxel] = tuple(min(n - 1, max(0, v + s)) for v, s, n in zip(voxel, step, shape, strict=True))
        raw[votes[voxel]] += 16 * int(pred[(0, *voxel)])
    for axis in (1, 2, 0):
        for _ in range(radii[axis]):
            raw = np.apply_along_axis(_smooth_line, axis, raw)
    density = {cell: mass for cell, mass in np.ndenumerate(raw) if mass > 0}
    peak = Fraction(prod(comb(2 * r, r) for r in radii), 4 ** sum(radii))
    least = max(1, ceil(Fraction(params.seed_mass) * 255 * 16 * peak))
    peaks = [c for c, mass in density.items() if mass >= least and not _has_rival(c, density, params.nms)]
    lengths = {c: _mean_length(c, votes, pred, params) for c in peaks}
    centres = [c for c in peaks if not any(_drops(other, c, density, lengths, params) for other in peaks)]
    labels = np.zeros(shape, np.int64)
    for voxel, target in votes.items():
        near = [(_distance(target, c, params.weights), 1 + int(np.ravel_multi_index(c, shape))) for c in centres]
        near = [pair for pair in near if pair[0] <= params.radius**2]
        labels[voxel] = min(near)[1] if near else 0
    return labels


def _smooth_line(line: np.ndarray) -> np.ndarray:
    padded = [0, *line, 0]
    return np.array([(a + 2 * b + c + 2) // 4 for a, b, c in zip(padded, padded[1:], padded[2:], strict=False)], object)


def _mean_length(centre: Cell, votes: dict[Cell, Cell], pred: np.ndarray, params: VoteParams) -> Fraction:
    total = weight = 0
    for voxel, target in votes.items():
        if all(abs(t - c) <= r for t, c, r in zip(target, centre, params.smooth, strict=True)):
            weight += int(pred[(0, *voxel)])
            total += int(pred[(0, *voxel)]) * _distance(voxel, target, params.weights)
    return Fraction(total, weight) if weight else Fraction(10**9)


def _drops(strong: Cell, weak: Cell, mass: dict[Cell, int], length: dict[Cell, Fraction], params: VoteParams) -> bool:
    if params.rival_percent == 0 or (mass[strong], weak) <= (mass[weak], strong):
        return False
    distance = _distance(strong, weak, params.weights)
    near = any(100 * distance <= params.rival_percent * length[c] for c in (strong, weak))
    return near and distance <= params.rival_radius**2


def _has_rival(cell: Cell, density: dict[Cell, int], nms: Index3) -> bool:
    for other, mass in density.items():
        near = all(abs(a - b) <= r for a, b, r in zip(cell, other, nms, strict=True))
        if near and other != cell and (mass, [-o for o in other]) > (density[cell], [-c for c in cell]):
            return True
    return False


def _distance(a: Cell, b: Cell, weights: Index3) -> int:
    return sum(w * (p - q) ** 2 for p, q, w in zip(a, b, weights, strict=True))


@pytest.fixture(scope="session")
def make_prediction() -> Callable[..., np.ndarray]:
    return random_prediction


@pytest.fixture(scope="session")
def reference_decode() -> Callable[[np.ndarray, VoteParams], np.ndarray]:
    return slow_decode
