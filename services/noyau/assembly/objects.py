"""What is known of the objects of a volume without holding their voxels: counts and bounding boxes, block by block.

Provisional labels name an object by `1 + raster index of its centre`, so the parts of an object that lie in several
blocks are merged by their name alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import cc3d
import fastremap
import numpy as np

from noyau.domain.errors import DamagedData
from noyau.domain.geometry import Box, Index3, as_index

_COLUMNS = ("identity", "voxels", "start", "stop")


@dataclass(frozen=True)
class Objects:
    """Objects in ascending order of their identities.

    Attributes:
        identity: provisional label, int64 (N,), each once.
        voxels: number of voxels, int64 (N,).
        start, stop: global half-open bounding box, int64 (N, 3) z/y/x.
    """

    identity: np.ndarray
    voxels: np.ndarray
    start: np.ndarray
    stop: np.ndarray

    def __len__(self) -> int:
        return len(self.identity)

    def box(self, index: int) -> Box:
        """Bounding box of the object at a position."""
        return Box(as_index(self.start[index]), as_index(self.stop[index]))

    def at_border(self, shape: Index3) -> np.ndarray:
        """Which objects touch the border of an image of the given shape, bool (N,).

        The z faces do not count where the image is one plane: there every object would touch them.
        """
        axes = [axis for axis, length in enumerate(shape) if length > 1] or [1, 2]
        low = (self.start[:, axes] == 0).any(axis=1)
        high = (self.stop[:, axes] == np.array(shape)[axes]).any(axis=1)
        touches: np.ndarray = low | high
        return touches

    def to_payload(self) -> dict[str, list[Any]]:
        """Plain lists for a JSON document, such as a unit's entry in the ledger."""
        return {name: getattr(self, name).tolist() for name in _COLUMNS}

    @staticmethod
    def from_payload(payload: Mapping[str, Any]) -> Objects:
        """The inverse of `to_payload`.

        Raises:
            DamagedData: columns are missing or of different lengths.
        """
        try:
            identity, voxels, start, stop = (np.asarray(payload[name], np.int64) for name in _COLUMNS)
            objects = Objects(identity, voxels, start.reshape(-1, 3), stop.reshape(-1, 3))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DamagedData("The record of a finished unit cannot be read.", "Run the job again.") from error
        if len({len(identity), len(voxels), len(objects.start), len(objects.stop)}) != 1:
            raise DamagedData("The record of a finished unit contradicts itself.", "Run the job again.")
        return objects


def no_objects() -> Objects:
    """The objects of an empty block."""
    none, corner = np.zeros(0, np.int64), np.zeros((0, 3), np.int64)
    return Objects(none, none, corner, corner)


def summarise(labels: np.ndarray, origin: Index3) -> Objects:
    """The objects of one block.

    Args:
        labels: provisional or final labels (Z, Y, X), any integer type, 0 = background.
        origin: global index z/y/x of the block's first voxel.
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
    offset = np.array(origin, np.int64)
    return Objects(
        identity[order],
        statistics["voxel_counts"].astype(np.int64)[order],
        inclusive[order, 0::2] + offset,
        inclusive[order, 1::2] + 1 + offset,
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
    return Objects(
        identity,
        np.add.reduceat(voxels, first),
        np.minimum.reduceat(start, first, axis=0),
        np.maximum.reduceat(stop, first, axis=0),
    )
