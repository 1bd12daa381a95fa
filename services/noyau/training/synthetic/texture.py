"""How much light each voxel of the ideal scene sends out, before any optics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import find_objects, map_coordinates

from noyau.domain.geometry import VoxelSize
from noyau.training.synthetic.draws import uniform
from noyau.training.synthetic.labels import Raster, voxel_offsets
from noyau.training.synthetic.perlin import SAMPLES, perlin_cube
from noyau.training.synthetic.recipe import TextureRanges
from noyau.training.synthetic.shapes import Nucleus


@dataclass(frozen=True)
class Chromatin:
    """What one scene's nuclei have in common."""

    brightness_spread: float
    contrast: float
    grain: float
    chromocentres: bool
    chromocentre_gain: float
    nucleolus_depth: float
    gap: float
    edge: float


def draw_chromatin(rng: np.random.Generator, ranges: TextureRanges) -> Chromatin:
    """Draws the texture of a scene."""
    return Chromatin(
        brightness_spread=uniform(rng, ranges.brightness_spread),
        contrast=uniform(rng, ranges.contrast),
        grain=uniform(rng, ranges.grain),
        chromocentres=bool(rng.random() < ranges.chromocentre_chance),
        chromocentre_gain=uniform(rng, ranges.chromocentre_gain),
        nucleolus_depth=uniform(rng, ranges.nucleolus_depth),
        gap=uniform(rng, ranges.gap),
        edge=uniform(rng, ranges.edge),
    )


def paint(
    rng: np.random.Generator,
    raster: Raster,
    nuclei: Sequence[Nucleus],
    voxel: VoxelSize,
    ranges: TextureRanges,
    chromatin: Chromatin,
) -> np.ndarray:
    """Paints every labelled nucleus.

    Returns:
        float32 (Z, Y, X): 0 outside nuclei, about 1 in a typical nucleus.
    """
    signal = np.zeros(raster.labels.shape, np.float32)
    noise = perlin_cube(rng)
    # One generator per nucleus, so that dropping one does not change the others.
    seeds = rng.integers(0, 2**63, len(nuclei))
    for number, slices in enumerate(find_objects(raster.labels), start=1):
        if slices is None:
            continue
        own = np.random.default_rng(int(seeds[number - 1]))
        _paint_one(own, signal, raster, number, slices, nuclei[number - 1], voxel, ranges, chromatin, noise)
    return signal


def _paint_one(
    rng: np.random.Generator,
    signal: np.ndarray,
    raster: Raster,
    number: int,
    slices: tuple[slice, slice, slice],
    nucleus: Nucleus,
    voxel: VoxelSize,
    ranges: TextureRanges,
    chromatin: Chromatin,
    noise: np.ndarray,
) -> None:
    mask = raster.labels[slices] == number
    level, second = raster.level[slices][mask], raster.second[slices][mask]
    flat = signal.shape[0] == 1
    points = _points(nucleus, slices, voxel, flat, mask, level)
    values = 1 + chromatin.contrast * _grain(rng, points, chromatin.grain, noise)
    if nucleus.kind == "interphase":
        values *= _nucleoli(rng, points, ranges, chromatin, flat)
        if chromatin.chromocentres:
            values += _chromocentres(rng, points, ranges, chromatin, flat)
    rim = np.clip((1 - level) / np.float32(chromatin.edge), 0, 1)
    seam = 1 - np.float32(chromatin.gap) * np.exp(-(((second - level) / np.float32(0.15)) ** 2))
    values = np.maximum(values, 0.05) * (0.4 + 0.6 * rim) * seam
    signal[slices][mask] = values * _brightness(rng, nucleus.kind, chromatin)


def _brightness(rng: np.random.Generator, kind: str, chromatin: Chromatin) -> float:
    typical = {"interphase": (1.0, 1.0), "plate": (1.3, 2.4), "pyknotic": (1.3, 4.0)}[kind]
    spread = float(np.exp(rng.normal(0, chromatin.brightness_spread)))
    return uniform(rng, typical) * float(np.clip(spread, 0.4, 4.0))


def _points(
    nucleus: Nucleus,
    slices: tuple[slice, slice, slice],
    voxel: VoxelSize,
    flat: bool,
    mask: np.ndarray,
    level: np.ndarray,
) -> np.ndarray:
    """(3, n) coordinates in the nucleus' own frame, scaled so that their length is the level."""
    q = nucleus.unit_coordinates(voxel_offsets(nucleus, slices, voxel, flat))
    points = np.stack([np.broadcast_to(c, mask.shape)[mask] for c in q])
    length = np.sqrt((points**2).sum(axis=0))
    return np.asarray(points * (level / np.maximum(length, np.float32(1e-6))))


def _grain(rng: np.random.Generator, points: np.ndarray, grain: float, noise: np.ndarray) -> np.ndarray:
    """Multi-scale Perlin noise at the points: three octaves, halving in size and falling in weight."""
    total = np.zeros(points.shape[1], np.float32)
    for octave in range(3):
        step = np.float32(SAMPLES * 2**octave / grain)
        start = rng.uniform(0, len(noise), (3, 1)).astype(np.float32)
        total += map_coordinates(noise, points * step + start, order=1, mode="grid-wrap") * np.float32(0.6**octave)
    return total / np.float32(1.2)


def _bumps(points: np.ndarray, centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """The highest of several Gaussian bumps at each point, 0 to 1."""
    highest = np.zeros(points.shape[1], np.float32)
    for centre, radius in zip(centres.astype(np.float32), radii.astype(np.float32), strict=True):
        d2 = (points[0] - centre[0]) ** 2 + (points[1] - centre[1]) ** 2 + (points[2] - centre[2]) ** 2
        near = np.flatnonzero(d2 < 9 * radius * radius)
        highest[near] = np.maximum(highest[near], np.exp(-d2[near] / (2 * radius * radius)))
    return highest


def _spots(rng: np.random.Generator, count: int, depth: tuple[float, float], flat: bool) -> np.ndarray:
    """(count, 3) random places at the given levels of the unit ball (of the disc when flat)."""
    directions = rng.normal(size=(count, 3)) * ([0, 1, 1] if flat else [1, 1, 1])
    directions /= np.sqrt((directions**2).sum(axis=1, keepdims=True)) + 1e-9
    return directions * rng.uniform(*depth, size=(count, 1))


def _chromocentres(
    rng: np.random.Generator, points: np.ndarray, ranges: TextureRanges, chromatin: Chromatin, flat: bool
) -> np.ndarray:
    low, high = ranges.chromocentres
    count = int(rng.integers(low, high + 1))
    bumps = _bumps(points, _spots(rng, count, (0.45, 0.88), flat), rng.uniform(0.07, 0.17, count))
    return bumps * np.float32(chromatin.chromocentre_gain)


def _nucleoli(
    rng: np.random.Generator, points: np.ndarray, ranges: TextureRanges, chromatin: Chromatin, flat: bool
) -> np.ndarray:
    low, high = ranges.nucleoli
    count = int(rng.integers(low, high + 1))
    bumps = _bumps(points, _spots(rng, count, (0.0, 0.55), flat), rng.uniform(0.1, 0.24, count))
    return 1 - np.float32(chromatin.nucleolus_depth) * bumps


def scatter_debris(rng: np.random.Generator, signal: np.ndarray, voxel: VoxelSize, diameter: float, count: int) -> None:
    """Adds unlabelled apoptotic fragments, in place: groups of small bright balls outside nuclei."""
    size = np.array(tuple(voxel))
    for _ in range(count):
        middle = rng.uniform(0, 1, 3) * np.array(signal.shape) * size
        for _ in range(int(rng.integers(1, 5))):
            centre = middle + rng.normal(size=3) * 0.2 * diameter
            _add_ball(signal, centre, uniform(rng, (0.05, 0.13)) * diameter, uniform(rng, (0.4, 2.5)), size)


def _add_ball(signal: np.ndarray, centre: np.ndarray, radius: float, brightness: float, size: np.ndarray) -> None:
    shape = signal.shape
    if shape[0] == 1:
        centre = np.array([0.5 * size[0], centre[1], centre[2]])
    low = np.maximum(np.floor((centre - radius) / size), 0).astype(int)
    high = np.minimum(np.ceil((centre + radius) / size).astype(int) + 1, shape)
    if (high <= low).any():
        return
    block = signal[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    axes = np.ogrid[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    d2 = sum(((a + 0.5) * s - c) ** 2 for a, s, c in zip(axes, size, centre, strict=True))
    # Debris never covers a labelled nucleus: the truth there would be wrong.
    np.copyto(block, np.float32(brightness), where=(d2 < radius**2) & (block == 0))
