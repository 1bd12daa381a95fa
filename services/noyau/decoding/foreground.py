"""Connected parts of the foreground: for networks that know no more than nucleus or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cc3d
import edt
import numpy as np

from noyau.decoding.bytes_in import check_planes, check_share, threshold_byte
from noyau.decoding.flooding import flood, summits
from noyau.domain.geometry import Index3

_PER_OCTAVE = 256


@dataclass(frozen=True)
class ForegroundDecoder:
    """See `noyau.decoding.windowed.WindowDecoder`.

    Attributes:
        foreground: probability threshold.
        neck: two parts of one connected region are apart where the region between them is narrower than this share of
            the narrower part's width; 1 separates nothing.
        spacing: relative lengths of a voxel's edges, z/y/x.
        min_voxels: smallest object kept.
        overlap: of neighbouring windows, z/y/x.
    """

    foreground: float = 0.5
    neck: float = 0.75
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    min_voxels: int = 60
    overlap: Index3 = (16, 32, 32)

    planes: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_share("foreground", self.foreground)
        check_share("neck", self.neck)

    def decode(self, prediction: np.ndarray) -> np.ndarray:
        """See `WindowDecoder.decode`."""
        check_planes(prediction, self.planes)
        mask = prediction[0] >= threshold_byte(self.foreground)
        if not mask.any():
            return np.zeros(mask.shape, np.int32)
        spacing = self.spacing if mask.shape[0] > 1 else self.spacing[1:]
        flat = mask if mask.shape[0] > 1 else mask[0]
        depth = edt.edt(np.ascontiguousarray(flat), anisotropy=spacing, black_border=False).reshape(mask.shape)
        depth[~np.isfinite(depth)] = 1.0
        if self.neck >= 1.0:
            return np.asarray(cc3d.connected_components(mask, connectivity=6), np.int32)
        # A share of the depth is a difference of its logarithm.
        height = np.rint(np.log2(np.maximum(depth, 0.5)) * _PER_OCTAVE).astype(np.int32)
        rise = max(1, round(-np.log2(max(self.neck, 1e-3)) * _PER_OCTAVE))
        seeds = summits(height, rise) * mask
        return flood(-height, seeds, mask)
