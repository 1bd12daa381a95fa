"""Where nuclei lie: lattices, clusters, balls, sheets or anywhere; then pushed apart or pulled into contact."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.spatial import cKDTree

from noyau.domain.geometry import VoxelSize
from noyau.training.synthetic.draws import uniform
from noyau.training.synthetic.shapes import Nucleus

Placement = tuple[np.ndarray, np.ndarray | None]
# Two nuclei whose centres are this fraction of the sum of their radii apart share a face of a few per cent.
CONTACT = 0.93


def place(name: str, rng: np.random.Generator, count: int, extent: np.ndarray, diameter: float) -> Placement:
    """Draws centres by the arrangement of that name.

    Args:
        name: `lattice`, `cluster`, `scatter`, `monolayer` or `ball`.
        rng: source of randomness.
        count: number of nuclei.
        extent: z/y/x size of the volume, micrometres; z is 0 for a 2D scene.
        diameter: mean diameter, micrometres.

    Returns:
        (count, 3) centres in micrometres, and (count, 3) unit normals of the surface on which nuclei lie flat
        (zero rows: no preference), or None.
    """
    arrangements: dict[str, Callable[[np.random.Generator, int, np.ndarray, float], Placement]] = {
        "lattice": _lattice,
        "cluster": _cluster,
        "scatter": _scatter,
        "monolayer": _monolayer,
        "ball": _ball,
    }
    return arrangements[name](rng, count, extent, diameter)


def _lattice(rng: np.random.Generator, count: int, extent: np.ndarray, diameter: float) -> Placement:
    # The lattice reaches beyond the border, so that nuclei are cut by it as in any crop.
    room = np.where(extent > 0, extent + diameter, 0)
    axes = room > 0
    spacing = max(float(np.prod(room[axes])) / count, 1e-6) ** (1 / int(axes.sum()))
    sites = [np.arange(-diameter / 2, e - diameter / 2, spacing) if e > 0 else np.zeros(1) for e in room]
    grid = np.stack(np.meshgrid(*sites, indexing="ij"), axis=-1).reshape(-1, 3)
    grid = grid + rng.uniform(0, 1, 3) * spacing * axes
    grid = grid + rng.uniform(-0.35, 0.35, grid.shape) * spacing * axes
    return rng.permutation(grid)[:count], None


def _scatter(rng: np.random.Generator, count: int, extent: np.ndarray, diameter: float) -> Placement:
    room = np.where(extent > 0, diameter / 2, 0)
    return rng.uniform(-room, extent + room, (count, 3)), None


def _cluster(rng: np.random.Generator, count: int, extent: np.ndarray, diameter: float) -> Placement:
    clusters = max(1, round(count / uniform(rng, (5, 30))))
    middles = rng.uniform(0, 1, (clusters, 3)) * extent
    axes = extent > 0
    spread = uniform(rng, (0.5, 0.75)) * diameter * (count / clusters) ** (1 / int(axes.sum()))
    member = rng.integers(0, clusters, count)
    return middles[member] + rng.normal(size=(count, 3)) * spread * axes, None


def _monolayer(rng: np.random.Generator, count: int, extent: np.ndarray, diameter: float) -> Placement:
    if extent[0] <= 0:
        return _lattice(rng, count, extent, diameter)
    # A sheet holds fewer nuclei than the volume it crosses.
    count = max(1, min(count, int(0.9 * np.prod(extent[1:] + diameter) / diameter**2)))
    centres, _ = _lattice(rng, count, extent * np.array([0, 1, 1]), diameter)
    waves = np.cos(centres[:, 1:] / max(extent[1:].max(), 1e-6) * rng.uniform(1, 5, 2) + rng.uniform(0, 6, 2))
    height = extent[0] * (0.5 + uniform(rng, (-0.2, 0.2)) + 0.12 * waves.sum(axis=1))
    centres[:, 0] = height + rng.normal(size=len(centres)) * 0.12 * diameter
    return centres, np.tile([1.0, 0, 0], (len(centres), 1))


def _ball(rng: np.random.Generator, count: int, extent: np.ndarray, diameter: float) -> Placement:
    axes = extent > 0
    cell = max(3.2 * diameter, 0.92 * diameter * count ** (1 / 3) * 2.2)
    balls = max(1, int(np.prod(extent[axes] // (1.3 * cell))))
    middles = extent * (0.5 + rng.uniform(-0.07, 0.07, 3)) if balls == 1 else rng.uniform(0, 1, (balls, 3)) * extent
    middles = np.atleast_2d(middles)
    largest = float(extent[axes].min()) * uniform(rng, (0.36, 0.5))
    hollow = count >= 16 and rng.random() < 0.6
    needed = diameter * max(1.0, 0.75 * (count / balls) ** (1 / 3)) * (1.1 if hollow else 1.0)
    radius = max(min(largest, 2.2 * needed), needed)
    directions = rng.normal(size=(count, 3)) * axes
    directions /= np.sqrt((directions**2).sum(axis=1, keepdims=True)) + 1e-9
    depth = rng.random(count) ** (1 / 3)
    normals = np.zeros((count, 3))
    if hollow:
        # A blastocyst: a flat outer layer, and an inner cell mass at one pole.
        outer = rng.random(count) < uniform(rng, (0.5, 0.75))
        pole = directions[0]
        depth = np.where(outer, rng.uniform(0.93, 1.03, count), depth)
        normals[outer] = directions[outer]
        inner = 0.45 * pole + 0.5 * directions * depth[:, None]
        offsets = np.where(outer[:, None], directions * depth[:, None], inner)
    else:
        offsets = directions * depth[:, None]
    return middles[rng.integers(0, len(middles), count)] + offsets * radius, normals


def settle(
    nuclei: Sequence[Nucleus], rng: np.random.Generator, touching: float, flat: bool, voxel: VoxelSize
) -> list[Nucleus]:
    """Pushes overlapping nuclei apart, then moves a fraction of them into contact with their neighbour.

    Args:
        nuclei: shapes at their drawn places.
        rng: source of randomness.
        touching: fraction of nuclei moved into contact, where a neighbour is near enough.
        flat: a 2D scene.
        voxel: micrometres; nuclei that do not touch keep a gap of about one voxel.

    Returns:
        The same shapes at their final places.
    """
    if len(nuclei) < 2:
        return list(nuclei)
    centres = np.array([n.centre for n in nuclei], dtype=float)
    # Two nuclei drawn at one place need a direction in which to part.
    centres += rng.normal(size=centres.shape) * 1e-3 * ([0, 1, 1] if flat else [1, 1, 1])
    to_unit = np.array([n.to_unit for n in nuclei])
    longest = max(float(n.radii.max()) for n in nuclei)
    gap = np.array(tuple(voxel)) * ([0, 1, 1] if flat else [1, 1, 1])
    # A little more than touching: most nuclei in tissue are close, not in contact.
    for _ in range(40):
        if not _push(centres, to_unit, longest, 1.08, gap):
            break
    _bring_together(rng, centres, to_unit, longest, touching)
    for _ in range(6):
        _push(centres, to_unit, longest, 0.88, np.zeros(3))
    return [n.moved(c) for n, c in zip(nuclei, centres, strict=True)]


def _radius_towards(to_unit: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Radii (n,) of the ellipsoids `to_unit` (n, 3, 3) along unit vectors (n, 3)."""
    return np.asarray(1 / np.sqrt((np.einsum("nij,nj->ni", to_unit, directions) ** 2).sum(axis=1)))


def _push(centres: np.ndarray, to_unit: np.ndarray, longest: float, apart: float, gap: np.ndarray) -> bool:
    """One round of moving pairs apart that are too close, in place; True when something moved far.

    Pairs keep `apart` times the sum of their radii, and the `gap` (micrometres z/y/x) in their direction.
    """
    pairs = cKDTree(centres).query_pairs(2 * longest * apart + gap.max(), output_type="ndarray")
    if len(pairs) == 0:
        return False
    i, j = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].T
    between = centres[j] - centres[i]
    distance = np.sqrt((between**2).sum(axis=1))
    between /= np.maximum(distance, 1e-9)[:, None]
    reach = _radius_towards(to_unit[i], between) + _radius_towards(to_unit[j], between)
    wanted = apart * reach + np.sqrt(((between * gap) ** 2).sum(axis=1))
    missing = np.maximum(wanted - distance, 0)
    # Pairs move all at once, so each moves a part of its way or dense scenes would explode.
    step = between * (0.45 * missing)[:, None]
    np.add.at(centres, i, -step)
    np.add.at(centres, j, step)
    return bool(missing.max() > 0.01 * longest)


def _contacts(centres: np.ndarray, to_unit: np.ndarray, longest: float) -> np.ndarray:
    """Which nuclei (bool, n) are as good as touching another one."""
    touching = np.zeros(len(centres), bool)
    pairs = cKDTree(centres).query_pairs(2.1 * longest, output_type="ndarray")
    if len(pairs):
        i, j = pairs.T
        between = centres[j] - centres[i]
        distance = np.maximum(np.sqrt((between**2).sum(axis=1)), 1e-9)
        between /= distance[:, None]
        reach = _radius_towards(to_unit[i], between) + _radius_towards(to_unit[j], between)
        touching[pairs[distance < 1.04 * reach].ravel()] = True
    return touching


def _bring_together(
    rng: np.random.Generator, centres: np.ndarray, to_unit: np.ndarray, longest: float, wanted: float
) -> None:
    """Pulls free nuclei to their neighbours, in place, until the wanted fraction touches."""
    touching = _contacts(centres, to_unit, longest)
    for i in rng.permutation(np.flatnonzero(~touching)):
        if touching.mean() >= wanted:
            return
        if not touching[i] and (j := _pull(centres, to_unit, int(i))) is not None:
            touching[[i, j]] = True


def _pull(centres: np.ndarray, to_unit: np.ndarray, i: int) -> int | None:
    """Moves nucleus i into contact with its nearest neighbour, when that is not too far away; says which."""
    offsets = centres - centres[i]
    distances = np.sqrt((offsets**2).sum(axis=1))
    distances[i] = np.inf
    j = int(distances.argmin())
    between = (offsets[j] / max(distances[j], 1e-9))[None]
    reach = float((_radius_towards(to_unit[[i]], between) + _radius_towards(to_unit[[j]], between))[0])
    if distances[j] < 2.0 * reach:
        centres[i] = centres[j] - between[0] * reach * CONTACT
        return j
    return None
