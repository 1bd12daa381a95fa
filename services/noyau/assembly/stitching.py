"""Objects of overlapping windows become objects of the volume.

A decoder that is not local sees one window at a time and names its objects for itself. Where two windows overlap both
have labelled the same voxels; objects that agree there are one. More than half of the union in common makes the match
one to one, so that two objects of one window are never joined through a single object of its neighbour.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from noyau.assembly.numbering import Numbering
from noyau.assembly.objects import Objects, merge
from noyau.domain.geometry import Box, Index3

LEAST_AGREEMENT = 0.5


@dataclass(frozen=True)
class Joins:
    """Which provisional names are one object.

    Attributes:
        identity: names that were joined to another, int64 (N,), ascending.
        root: the smallest name of the object of each, int64 (N,).
    """

    identity: np.ndarray
    root: np.ndarray

    def apply(self, names: np.ndarray) -> np.ndarray:
        """The object's name for each of the given names."""
        if len(self.identity) == 0 or names.size == 0:
            return names
        place = np.minimum(np.searchsorted(self.identity, names), len(self.identity) - 1)
        return np.where(self.identity[place] == names, self.root[place], names)


def provisional_names(labels: np.ndarray, box: Box, shape: Index3, window: int, windows: int) -> np.ndarray:
    """Names that no other window gives, in raster order of the objects' first voxels in the volume.

    Args:
        labels: the objects of a window, integers (Z, Y, X), 0 is background.
        box: of the window in the volume.
        shape: of the volume.
        window: number of the window, from 0.
        windows: how many there are.

    Returns:
        int64 of the same shape, 0 is background.
    """
    flat = labels.reshape(-1)
    inside = np.flatnonzero(flat)
    first = np.zeros(int(flat.max(initial=0)) + 1, np.int64)
    # Of several assignments to one place the last one stays, so the voxels come in reverse.
    first[flat[inside][::-1]] = inside[::-1]
    z, y, x = np.unravel_index(first, labels.shape)
    start = box.start
    raster = ((z + start[0]) * shape[1] + y + start[1]) * np.int64(shape[2]) + x + start[2]
    names = 1 + raster * windows + window
    names[0] = 0
    return np.asarray(names[labels], np.int64)


def agreements(one: np.ndarray, other: np.ndarray, least: float = LEAST_AGREEMENT) -> np.ndarray:
    """Pairs of names whose voxels have more than the share `least` of their union in common, int64 (N, 2).

    Args:
        one, other: names that two windows gave to the same voxels, int64 of one shape.
        least: at least 1/2, or a match may not be one to one.
    """
    both = (one > 0) & (other > 0)
    if not both.any():
        return np.zeros((0, 2), np.int64)
    names_one, sizes_one = np.unique(one[one > 0], return_counts=True)
    names_other, sizes_other = np.unique(other[other > 0], return_counts=True)
    row, column = np.searchsorted(names_one, one[both]), np.searchsorted(names_other, other[both])
    pairs, common = np.unique(row * len(names_other) + column, return_counts=True)
    row, column = pairs // len(names_other), pairs % len(names_other)
    union = sizes_one[row] + sizes_other[column] - common
    good = common > least * union
    return np.stack([names_one[row[good]], names_other[column[good]]], axis=1)


def join(pairs: Iterable[np.ndarray]) -> Joins:
    """Objects that are connected through any number of pairs are one; the order of the pairs does not matter."""
    found = [p for p in pairs if len(p)]
    if not found:
        none = np.zeros(0, np.int64)
        return Joins(none, none)
    edges = np.concatenate(found)
    identity, at = np.unique(edges, return_inverse=True)
    left, right = at.reshape(edges.shape).T
    root = np.arange(len(identity))
    while True:
        smallest = np.minimum(root[left], root[right])
        lowered = root.copy()
        np.minimum.at(lowered, left, smallest)
        np.minimum.at(lowered, right, smallest)
        lowered = lowered[lowered]
        if (lowered == root).all():
            return Joins(identity, identity[root])
        root = lowered


def joined_objects(objects: Objects, joins: Joins) -> Objects:
    """The objects after their parts were joined."""
    renamed = replace(objects, identity=joins.apply(objects.identity))
    return merge([renamed])


def spread_numbers(numbering: Numbering, parts: Objects, joins: Joins) -> Numbering:
    """The numbering of the parts as they are named in the blocks, from that of the joined objects.

    Args:
        numbering: of the joined objects.
        parts: the objects under the names that the windows gave, ascending.
        joins: which of them are one.
    """
    place = np.searchsorted(numbering.identity, joins.apply(parts.identity))
    return Numbering(parts.identity, numbering.number[place])
