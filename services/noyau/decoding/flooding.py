"""Water that rises from seeds, and seeds for it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage as ndi
from skimage.morphology import h_maxima
from skimage.segmentation import watershed


def flood(height: np.ndarray, seeds: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Labels int32 of the seeds grown over the mask, the lowest voxels first.

    Args:
        height: integers or floats (Z, Y, X).
        seeds: labels (Z, Y, X), 0 elsewhere.
        mask: bool (Z, Y, X).
    """
    return np.asarray(watershed(height, seeds, mask=mask), np.int32)  # type: ignore[no-untyped-call]


def summits(height: np.ndarray, rise: int) -> np.ndarray:
    """Labels int32 of the summits of integer heights: every way from one to a higher one descends at least `rise`."""
    peaks = h_maxima(height, rise)  # type: ignore[no-untyped-call]
    return np.asarray(ndi.label(peaks, structure=np.ones((3,) * height.ndim))[0], np.int32)
