"""What is known of the objects of a volume without holding their voxels: counts and bounding boxes, block by block.

Provisional labels name an object by `1 + raster index of its centre`, so the parts of an object that lie in several
blocks are merged by their name alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cc3d
import fastremap
import numpy as np

from noyau.domain.geometry import Box, Index3, as_index


@dataclass(frozen=True)
class Objects:
    """Objects in ascending order of their identities.

    Attributes:
        identity: provisional label, int64 (N,), each once.
        voxels: number of voxels, int64 (N,).
        start, stop: global half-open bounding box, int64 (N, 3) z/y/x.
        probability: sum over its voxels of the foreground byte (255 is certain), int64 (N,).
    """

    identity: np.ndarray
    voxels: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    probability: np.ndarray

    @property
    def certainty(self) -> np.ndarray:
        """Mean foreground probability of each object, 0 to 1, float64 (N,)."""
        return np.asarray(self.probability / (255.0 * self.voxels))

    def __len__(self) -> int:
        return len(self.identity)

    def box(self, index: int) -> Box:
        """Bounding box of the object at a position."""
        return Box(as_index(self.start[index]), as_index(self.stop[index]))


def no_objects() -> Objects:
    """The objects of an empty block."""
    none, corner = np.zeros(0, np.int64), np.zeros((0, 3), np.int64)
    return Objects(none, none, corner, corner, none)


def summarise(labels: np.ndarray, origin: Index3, foreground: np.ndarray | None = None) -> Objects:
    """The objects of one block.

    Args:
        labels: provisional or final labels (Z, Y, X), any integer type, 0 = background.
        origin: global index z/y/x of the block's first voxel.
        foreground: foreground byte of each voxel, uint8 (Z, Y, X); None where every object is taken as certain.
    """
    if labels.size == 0:
        return no_objects()
    # In plain arrays the rank of a label is its place in the order of first appearance; 0 stays 0.
    ranks, mapping = fastremap.renumber(labels)
    statistics = cc3d.statistics(ranks, no_slice_conversion=True)
    identity = np.zeros(len(statistics["voxel_counts"]), np.int64)
    for label, rank in mapping.items():
        identity[int(rank)] = int(label)
    inclusive = statistics["bounding_boxes"].astype(np.int64)
    order = np.argsort(identity[1:], kind="stable") + 1
    voxels = statistics["voxel_counts"].astype(np.int64)
    # Sums of bytes stay exact in a double up to 2**53.
    weights = None if foreground is None else foreground.ravel()
    probability = 255 * voxels if weights is None else np.bincount(ranks.ravel(), weights, len(voxels))
    offset = np.array(origin, np.int64)
    return Objects(
        identity[order],
        voxels[order],
        inclusive[order, 0::2] + offset,
        inclusive[order, 1::2] + 1 + offset,
        probability.astype(np.int64)[order],
    )


def merge(parts: Iterable[Objects]) -> Objects:
    """The objects of several disjoint blocks; the order of the blocks does not matter."""
    blocks = [part for part in parts if len(part)]
    if not blocks:
        return no_objects()
    names = np.concatenate([part.identity for part in blocks])
    order = np.argsort(names, kind="stable")
    identity, first = np.unique(names[order], return_index=True)
    voxels = np.concatenate([part.voxels for part in blocks])[order]
    start = np.concatenate([part.start for part in blocks])[order]
    stop = np.concatenate([part.stop for part in blocks])[order]
    probability = np.concatenate([part.probability for part in blocks])[order]
    return Objects(
        identity,
        np.add.reduceat(voxels, first),
        np.minimum.reduceat(start, first, axis=0),
        np.maximum.reduceat(stop, first, axis=0),
        np.add.reduceat(probability, first),
    )
