"""When the network is sure enough of an object for it to count."""

from __future__ import annotations

import numpy as np


def sure_enough(probability: np.ndarray, voxels: np.ndarray, least: float) -> np.ndarray:
    """Whether the mean foreground probability of each object is at least `least`, bool (N,).

    In whole thousandths, so that the comparison is between integers and the same on every machine.

    Args:
        probability: sum over the object's voxels of the foreground byte (255 is certain), int64 (N,).
        voxels: number of its voxels, int64 (N,).
        least: lowest mean probability, 0 to 1.
    """
    return np.asarray(probability * 1000 >= round(least * 1000) * 255 * voxels)
