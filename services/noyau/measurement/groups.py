"""Which objects are measured together: neighbours that fit into one bounded read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from noyau.domain.geometry import Box, Index3, as_index


@dataclass(frozen=True)
class Group:
    """Objects that are read in one go.

    Attributes:
        ids: ascending labels.
        box: voxels to read, holds every object with the margin, inside the readable part of the image.
        step: every how many-th voxel is read, 1 but for a single object larger than a read may be.
    """

    ids: tuple[int, ...]
    box: Box
    step: int = 1


def group_objects(objects: Mapping[int, Box], margin: Sequence[int], extent: Box, max_voxels: int) -> list[Group]:
    """Puts neighbouring objects into groups whose box has at most `max_voxels` voxels.

    Objects are taken in the order of a coarse raster, so that a group's objects lie close to each other. The
    grouping never changes a result, with one exception: an object too large for any group is read with a step.

    Args:
        objects: bounding boxes by label.
        margin: voxels z/y/x that a measurement needs around an object.
        extent: the readable part of the image.
        max_voxels: bound of a read.
    """
    side = _side(extent.shape, max_voxels)
    groups: list[Group] = []
    ids: list[int] = []
    box: Box | None = None
    last: Index3 | None = None
    for label, bounds in sorted(objects.items(), key=lambda item: (_cell(item[1], side), item[0])):
        wide = bounds.grown(margin).intersection(extent)
        union = wide if box is None else _union(box, wide)
        if box is not None and (_cell(bounds, side) != last or union.voxels > max_voxels):
            groups.append(_group(ids, box, max_voxels))
            ids, union = [], wide
        ids.append(label)
        box, last = union, _cell(bounds, side)
    if box is not None:
        groups.append(_group(ids, box, max_voxels))
    return groups


def _side(shape: Index3, max_voxels: int) -> Index3:
    """Cell of the raster: the image, halved along its longest axis until a cell is half a read."""
    side = list(shape)
    while prod(side) > max(1, max_voxels // 2):
        longest = side.index(max(side))
        side[longest] = -(-side[longest] // 2)
    return as_index(max(1, n) for n in side)


def _cell(box: Box, side: Index3) -> Index3:
    """The cell that holds the box's middle."""
    return as_index((a + b) // 2 // n for a, b, n in zip(box.start, box.stop, side, strict=True))


def _group(ids: Sequence[int], box: Box, max_voxels: int) -> Group:
    step = 1
    while prod(-(-n // step) for n in box.shape) > max_voxels:
        step += 1
    return Group(tuple(sorted(ids)), box, step)


def _union(a: Box, b: Box) -> Box:
    return Box(
        as_index(min(p, q) for p, q in zip(a.start, b.start, strict=True)),
        as_index(max(p, q) for p, q in zip(a.stop, b.stop, strict=True)),
    )
