"""Draws the nuclei of one scene: how many, how large, what kind, where."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from noyau.domain.geometry import Index3, VoxelSize
from noyau.training.synthetic.arrangement import place, settle
from noyau.training.synthetic.draws import log_uniform, uniform
from noyau.training.synthetic.recipe import SceneRanges
from noyau.training.synthetic.shapes import Nucleus, draw_nucleus

MOST_NUCLEI = 20_000


@dataclass(frozen=True)
class Scene:
    """Shapes in physical space and what was drawn to make them."""

    nuclei: tuple[Nucleus, ...]
    diameter: float
    record: dict[str, Any]


def draw_scene(
    rng: np.random.Generator,
    ranges: SceneRanges,
    shape: Index3,
    voxel: VoxelSize,
    *,
    count: int | None = None,
    density: float | None = None,
) -> Scene:
    """Draws a scene that fills a volume.

    Args:
        rng: source of randomness.
        ranges: what may be drawn.
        shape: z/y/x voxels; one plane makes a 2D scene.
        voxel: micrometres.
        count: number of nuclei to place; None draws it.
        density: fraction of the space to fill; None draws it. `count` wins.
    """
    flat = shape[0] == 1
    extent = np.array(shape) * np.array(tuple(voxel))
    if flat:
        extent[0] = 0
    diameter = log_uniform(rng, _feasible(ranges.diameter, extent, voxel))
    filled = uniform(rng, ranges.density) if density is None else density
    drawn_count = round(log_uniform(rng, ranges.count)) if ranges.count else None
    wanted = count if count is not None else drawn_count if density is None else None
    if wanted is None:
        wanted = _count_for(filled, extent, diameter)
    wanted = int(np.clip(wanted, 0, MOST_NUCLEI))
    diameter *= max(wanted, 1) ** -ranges.crowding
    name = str(rng.choice([a for a in ranges.arrangements if not (flat and a == "ball")] or ["cluster"]))
    record = _draw_record(rng, ranges, name, wanted, diameter)
    if wanted == 0:
        return Scene((), diameter, record)
    nuclei = _draw_nuclei(rng, ranges, extent, record)
    return Scene(tuple(settle(nuclei, rng, record["touching_wanted"], flat, voxel)), diameter, record)


def _draw_record(
    rng: np.random.Generator, ranges: SceneRanges, name: str, wanted: int, diameter: float
) -> dict[str, Any]:
    return {
        "arrangement": name,
        "nuclei_placed": wanted,
        "diameter_um": diameter,
        "diameter_spread": uniform(rng, ranges.diameter_spread),
        "deformation": uniform(rng, ranges.deformation),
        "roundness": uniform(rng, ranges.roundness),
        "touching_wanted": uniform(rng, ranges.touching),
        "mitotic": uniform(rng, ranges.mitotic),
        "pyknotic": uniform(rng, ranges.pyknotic),
        "debris": uniform(rng, ranges.debris),
        "outline": uniform(rng, ranges.outline),
        "outline_axial": uniform(rng, ranges.outline_axial),
    }


def _draw_nuclei(
    rng: np.random.Generator, ranges: SceneRanges, extent: np.ndarray, record: dict[str, Any]
) -> list[Nucleus]:
    flat, diameter = extent[0] == 0, record["diameter_um"]
    centres, normals = place(record["arrangement"], rng, record["nuclei_placed"], extent, diameter)
    # A scene has its own typical roundness; single nuclei vary about it.
    ranges = replace(ranges, roundness=(max(ranges.roundness[0], record["roundness"] - 0.15), record["roundness"]))
    nuclei = []
    for i, centre in enumerate(centres):
        own = diameter * float(np.clip(rng.normal(1, record["diameter_spread"]), 0.5, 1.7))
        kind = _draw_kind(rng, record)
        nucleus = draw_nucleus(rng, ranges, own, record["deformation"], flat, kind).moved(centre)
        if normals is not None and not flat and normals[i].any() and kind == "interphase":
            nucleus = _lying(nucleus, normals[i])
        nuclei.append(nucleus)
        if kind == "plate" and rng.random() < 0.5:
            nuclei.append(_sister(rng, nucleus))
    return nuclei


def _draw_kind(rng: np.random.Generator, record: dict[str, Any]) -> str:
    draw = rng.random()
    if draw < record["mitotic"]:
        return "plate"
    return "pyknotic" if draw < record["mitotic"] + record["pyknotic"] else "interphase"


def _sister(rng: np.random.Generator, plate: Nucleus) -> Nucleus:
    """The other plate of an anaphase: parallel, apart along the thin axis."""
    away = plate.rotation[1] * plate.radii[1] * uniform(rng, (2.6, 5.0))
    return replace(plate, centre=plate.centre + away, waves=plate.waves * np.array([1, 1, -1, 1, 1]))


def _lying(nucleus: Nucleus, normal: np.ndarray) -> Nucleus:
    """The nucleus turned so that its shortest axis points along the normal of its surface, and flattened."""
    first = nucleus.rotation[2] - normal * (nucleus.rotation[2] @ normal)
    first /= np.sqrt((first**2).sum()) + 1e-9
    rotation = np.array([np.cross(first, normal), normal, first])
    return replace(nucleus, rotation=rotation, radii=nucleus.radii * np.array([1.08, 0.8, 1.15]))


def _feasible(bounds: tuple[float, float], extent: np.ndarray, voxel: VoxelSize) -> tuple[float, float]:
    """The range of diameters, cut to what the voxels resolve and the field of view holds.

    A nucleus is at least eight voxels wide and two and a half planes high, and at most 0.7 of the field.
    """
    low = max(8 * voxel.y, 8 * voxel.x, 2.5 * voxel.z if extent[0] else 0.0)
    high = max(0.7 * float(extent[1:].min()), 6 * max(voxel.y, voxel.x))
    least, most = (min(max(b, low), high) for b in bounds)
    return least, most


def _count_for(filled: float, extent: np.ndarray, diameter: float) -> int:
    """Number of nuclei that fill this fraction of the space, border nuclei included; at least one."""
    axes = extent > 0
    room = float(np.prod(extent[axes] + 0.5 * diameter))
    one = np.pi * diameter**2 / 4 if not axes[0] else np.pi * diameter**3 / 6
    return max(1, round(filled * room / float(one)))
