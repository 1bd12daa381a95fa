"""Shapes to labels: every voxel goes to the nucleus that it lies deepest in, and each label is one piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cc3d
import numpy as np

from noyau.domain.geometry import Index3, VoxelSize
from noyau.training.synthetic.shapes import Nucleus

# Levels are distances from a nucleus' centre, 1 at its surface; nothing beyond this one is kept.
FARTHEST = np.float32(1.4)


@dataclass(frozen=True, eq=False)
class Raster:
    """Labels and what the texture needs to know of each voxel.

    Attributes:
        labels: int32 (Z, Y, X), value = 1 + index of the nucleus, 0 = background.
        level: float32 (Z, Y, X), 0 at the centre and 1 at the surface of the voxel's nucleus.
        second: float32 (Z, Y, X), the level of the next nearest nucleus, at most `FARTHEST`.
    """

    labels: np.ndarray
    level: np.ndarray
    second: np.ndarray


def rasterise(
    nuclei: Sequence[Nucleus], shape: Index3, voxel: VoxelSize, margin: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> Raster:
    """Rasterises each nucleus in its bounding box.

    Where two overlap, the voxel goes to the one in which it lies deeper, so they share a face, as touching nuclei do.

    Args:
        nuclei: shapes in micrometres; the centre of voxel 0 is at 0.5 voxel.
        shape: z/y/x voxels.
        voxel: micrometres.
        margin: micrometres z/y/x by which every nucleus is larger than its shape says.
    """
    labels = np.zeros(shape, np.int32)
    level = np.full(shape, FARTHEST, np.float32)
    second = np.full(shape, FARTHEST, np.float32)
    for number, nucleus in enumerate(nuclei, start=1):
        growth = nucleus.growth(margin)
        box = nucleus.box(shape, voxel, growth)
        if box.voxels == 0:
            continue
        own = _level(nucleus, box.slices, voxel, shape[0] == 1, growth)
        best, next_best, ids = level[box.slices], second[box.slices], labels[box.slices]
        nearer = own < best
        np.copyto(next_best, np.where(nearer, best, np.minimum(next_best, own)))
        np.copyto(best, own, where=nearer)
        np.copyto(ids, number, where=nearer)
    labels[level >= 1] = 0
    return Raster(labels, level, second)


def voxel_offsets(
    nucleus: Nucleus, slices: tuple[slice, slice, slice], voxel: VoxelSize, flat: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offsets of voxel centres from the nucleus' centre, micrometres, broadcastable along z/y/x, float32."""
    steps = []
    for axis, (s, size) in enumerate(zip(slices, voxel, strict=True)):
        positions = (np.arange(s.start, s.stop) + 0.5) * size - nucleus.centre[axis]
        if flat and axis == 0:
            positions = np.zeros(1)
        steps.append(positions.astype(np.float32))
    return steps[0][:, None, None], steps[1][None, :, None], steps[2][None, None, :]


def _level(
    nucleus: Nucleus, slices: tuple[slice, slice, slice], voxel: VoxelSize, flat: bool, growth: np.ndarray
) -> np.ndarray:
    z, y, x = voxel_offsets(nucleus, slices, voxel, flat)
    a, b, c = growth.astype(np.float32)
    q = nucleus.unit_coordinates((z / a, y / b, x / c))
    rho = np.sqrt(q[0] ** 2 + q[1] ** 2 + q[2] ** 2)
    near = np.flatnonzero(rho < FARTHEST)
    radius = np.maximum(rho.ravel()[near], np.float32(1e-6))
    directions = tuple(np.broadcast_to(c, rho.shape).ravel()[near] / radius for c in q)
    level = np.full(rho.shape, FARTHEST, np.float32)
    level.ravel()[near] = np.minimum(radius / nucleus.swelling(directions), FARTHEST)
    return level


def largest_pieces(labels: np.ndarray, connectivity: Literal[6, 26]) -> np.ndarray:
    """The labels with only the largest connected piece of each left (int32, z/y/x)."""
    pieces = cc3d.connected_components(labels, connectivity=connectivity).ravel()
    flat = labels.ravel()
    sizes = np.bincount(pieces)
    owner = np.zeros(len(sizes), np.int32)
    owner[pieces] = flat
    sizes[owner == 0] = 0
    best = np.zeros(int(owner.max(initial=0)) + 1, np.int64)
    np.maximum.at(best, owner, sizes)
    keep = (sizes == best[owner]) & (owner > 0)
    # Of two pieces of one size the first stays.
    keep[np.flatnonzero(keep)[_repeated(owner[keep])]] = False
    return np.where(keep[pieces], flat, 0).reshape(labels.shape).astype(np.int32)


def _repeated(values: np.ndarray) -> np.ndarray:
    seen = np.ones(len(values), bool)
    seen[np.unique(values, return_index=True)[1]] = False
    return seen


def too_small(
    labels: np.ndarray, nuclei: Sequence[Nucleus], voxel: VoxelSize, least: int, part: float = 0.04
) -> np.ndarray:
    """Ids of objects with less than `least` voxels, or less than `part` of the nucleus they stand for."""
    flat = labels.shape[0] == 1
    one = voxel.y * voxel.x if flat else voxel.volume
    whole = np.array([0.0] + [n.volume(flat) / one for n in nuclei])
    sizes = np.bincount(labels.ravel(), minlength=len(whole))
    small = (sizes < np.maximum(least, part * whole)) & (sizes > 0)
    small[0] = False
    return np.flatnonzero(small)


def without(labels: np.ndarray, ids: np.ndarray, count: int) -> np.ndarray:
    """The labels with these ids set to background."""
    table = np.arange(count + 1, dtype=np.int32)
    table[ids] = 0
    return np.asarray(table[labels])


def touching_fraction(labels: np.ndarray) -> float:
    """Fraction of objects that share a voxel face with another one."""
    present = np.flatnonzero(np.bincount(labels.ravel()))
    present = present[present > 0]
    touched: set[int] = set()
    for axis in range(3):
        a = np.moveaxis(labels, axis, 0)[:-1]
        b = np.moveaxis(labels, axis, 0)[1:]
        face = (a != b) & (a > 0) & (b > 0)
        touched.update(np.unique(a[face]).tolist(), np.unique(b[face]).tolist())
    return len(touched) / len(present) if len(present) else 0.0
