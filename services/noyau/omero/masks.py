"""Masks as OMERO keeps them, and back.

An OMERO Mask is a rectangle of one plane with one bit per pixel: most significant bit first, row after row, without
padding at the end of a row (only the last byte is filled up with zeros). An object of a volume is one Roi with one Mask
per plane. Everything is done within bounding boxes; comparing the whole plane with each label costs hundreds of times
as much.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from noyau.domain.errors import DamagedData
from noyau.domain.geometry import Index3


@dataclass(frozen=True)
class PlaneMask:
    """One object in one plane.

    Attributes:
        z: plane.
        y, x: first row and column of the rectangle.
        height, width: of the rectangle.
        data: its bits.
    """

    z: int
    y: int
    x: int
    height: int
    width: int
    data: bytes

    @property
    def pixels(self) -> np.ndarray:
        """The rectangle as booleans (height, width)."""
        return unpack(self.data, self.height, self.width)


def pack(mask: np.ndarray) -> bytes:
    """The bits of a boolean rectangle (height, width)."""
    return np.packbits(mask, axis=None).tobytes()


def unpack(data: bytes, height: int, width: int) -> np.ndarray:
    """A boolean rectangle (height, width) from its bits.

    Raises:
        DamagedData: there are too few bits for the rectangle.
    """
    count = height * width
    if len(data) * 8 < count:
        raise DamagedData(f"A mask of {height} x {width} pixels has only {len(data) * 8} bits.")
    bits = np.unpackbits(np.frombuffer(data, np.uint8, (count + 7) // 8), count=count)
    return bits.astype(bool).reshape(height, width)


def object_masks(crop: np.ndarray, label: int, origin: Index3) -> tuple[PlaneMask, ...]:
    """The masks of one object, one per plane in which it is, each in its own tight rectangle.

    Args:
        crop: labels around the object, z/y/x; other labels may be in it.
        label: number of the object.
        origin: z/y/x of the crop's first voxel.
    """
    inside = crop == label
    found = []
    for z in range(inside.shape[0]):
        plane = inside[z]
        rows = np.flatnonzero(plane.any(axis=1))
        if len(rows) == 0:
            continue
        columns = np.flatnonzero(plane.any(axis=0))
        y, x = int(rows[0]), int(columns[0])
        tight = plane[y : int(rows[-1]) + 1, x : int(columns[-1]) + 1]
        height, width = tight.shape
        found.append(PlaneMask(origin[0] + z, origin[1] + y, origin[2] + x, height, width, pack(tight)))
    return tuple(found)


def volume_masks(labels: np.ndarray) -> Iterator[tuple[int, tuple[PlaneMask, ...]]]:
    """Masks of every object of a label volume (z/y/x) or plane (y/x), in the order of the labels."""
    volume = labels if labels.ndim == 3 else labels[np.newaxis]
    for index, slices in enumerate(ndimage.find_objects(volume)):
        if slices is not None:
            z, y, x = (part.start for part in slices)
            crop = volume[slices]
            if len(crop) == 1:  # its box is tight already
                _, height, width = crop.shape
                yield index + 1, (PlaneMask(z, y, x, height, width, pack(crop[0] == index + 1)),)
            else:
                yield index + 1, object_masks(crop, index + 1, (z, y, x))


def paint(volume: np.ndarray, masks: Iterable[PlaneMask], label: int) -> None:
    """Writes an object's masks into a label volume, in place; what lies outside the volume is left out."""
    depth, rows, columns = volume.shape
    for mask in masks:
        if 0 <= mask.z < depth:
            y0, x0 = max(0, mask.y), max(0, mask.x)
            y1, x1 = min(rows, mask.y + mask.height), min(columns, mask.x + mask.width)
            if y0 < y1 and x0 < x1:
                part = mask.pixels[y0 - mask.y : y1 - mask.y, x0 - mask.x : x1 - mask.x]
                volume[mask.z, y0:y1, x0:x1][part] = label
