"""Canonical numbers: provisional names become 1..n in raster order of the centres, small objects disappear."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noyau.assembly.objects import Objects
from noyau.domain.certainty import sure_enough
from noyau.domain.errors import DamagedData, LimitExceeded

LARGEST_LABEL = 2**32 - 1


@dataclass(frozen=True)
class Numbering:
    """The final number of each object.

    Attributes:
        identity: provisional labels of all objects, int64 (N,), ascending.
        number: final label of each, uint32 (N,); 0 where the object was dropped.
    """

    identity: np.ndarray
    number: np.ndarray

    @property
    def count(self) -> int:
        """How many objects were kept; their numbers are 1..count."""
        return int(np.count_nonzero(self.number))


def number_objects(
    objects: Objects, min_voxels: int = 1, min_certainty: float = 0.0, *, limit: int = LARGEST_LABEL
) -> Numbering:
    """Numbers the objects that are large and certain enough 1..n in ascending order of their identities.

    An identity is the raster index of a centre, so the numbers depend on the nuclei alone and not on the order in
    which blocks were finished.

    Args:
        objects: of the whole volume.
        min_voxels: fewest voxels of an object.
        min_certainty: lowest mean foreground probability of an object, 0 to 1.
        limit: most objects.

    Raises:
        LimitExceeded: more objects than a label of 32 bits can tell apart.
    """
    sure = sure_enough(objects.probability, objects.voxels, min_certainty)
    kept = (objects.voxels >= max(1, min_voxels)) & sure
    count = int(kept.sum())
    if count > limit:
        raise LimitExceeded(
            f"The volume holds {count} objects, more than the {limit} that 32-bit labels can tell apart.",
            "Segment a part of the volume, or raise the smallest volume.",
        )
    return Numbering(objects.identity, np.where(kept, np.cumsum(kept), 0).astype(np.uint32))


def select(objects: Objects, numbering: Numbering) -> Objects:
    """The kept objects in the order of their numbers; their identity is now the final label 1..n."""
    kept = numbering.number > 0
    number = numbering.number[kept].astype(np.int64)
    return Objects(number, objects.voxels[kept], objects.start[kept], objects.stop[kept], objects.probability[kept])


def apply_numbering(labels: np.ndarray, numbering: Numbering) -> np.ndarray:
    """Final labels of a block, uint32 of the same shape.

    Labels come in runs along x, so each run is looked up once.

    Args:
        labels: provisional labels (Z, Y, X), 0 = background.
        numbering: of the whole volume.

    Raises:
        DamagedData: the block holds a label that the numbering does not know.
    """
    flat = np.ascontiguousarray(labels).reshape(-1)
    if flat.size == 0:
        return np.zeros(labels.shape, np.uint32)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    first = np.concatenate([np.zeros(1, changes.dtype), changes])
    value = flat[first].astype(np.int64)
    known = np.concatenate([np.zeros(1, np.int64), numbering.identity])
    number = np.concatenate([np.zeros(1, np.uint32), numbering.number])
    place = np.minimum(np.searchsorted(known, value), len(known) - 1)
    if (known[place] != value).any():
        raise DamagedData("A block of provisional labels holds an object that no unit recorded.", "Run the job again.")
    return np.repeat(number[place], np.diff(first, append=flat.size)).reshape(labels.shape)
