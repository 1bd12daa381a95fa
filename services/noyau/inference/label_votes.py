"""A label image as votes: how objects that a network names in one window are joined with those of the next.

Every voxel of an object points at the object's middle. Two windows that both see an object whole give the same middle,
so the decoder of votes finds it once; an object that a window cuts has another middle there, and the decoder joins
middles that are close for the size of the object. No names need to be matched.
"""

from __future__ import annotations

import numpy as np

LARGEST = 127


def votes_of(labels: np.ndarray) -> np.ndarray:
    """The quantised prediction of a label image.

    Args:
        labels: integers (Z, Y, X), 0 is background; an object may consist of several parts.

    Returns:
        uint8 (4, Z, Y, X): 255 in objects, and the offsets to their middles z, y, x as the bytes of int8, limited to
        +-127 voxels.
    """
    result = np.zeros((4, *labels.shape), np.uint8)
    places = np.nonzero(labels)
    if len(places[0]) == 0:
        return result
    result[0][places] = 255
    _, rank, count = np.unique(labels[places], return_inverse=True, return_counts=True)
    for axis, place in enumerate(places):
        # Whole numbers all the way: the middle is the rounded mean, the same in whatever order voxels come.
        total = np.zeros(len(count), np.int64)
        np.add.at(total, rank, place)
        middle = (2 * total + count) // (2 * count)
        offset = np.clip(middle[rank] - place, -LARGEST, LARGEST)
        result[1 + axis][places] = offset.astype(np.int8).view(np.uint8)
    return result
