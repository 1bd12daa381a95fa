"""Centre/border and watershed: the first of the review's four routes (Caicedo et al. 2019, doi:10.1002/cyto.a.23863).

The network says of every voxel how likely it is nucleus, border, and deep inside. What is deep and no border is the
seed of a nucleus; water rises from the seeds over the foreground.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cc3d
import numpy as np

from noyau.decoding.bytes_in import check_planes, check_share, threshold_byte
from noyau.decoding.flooding import flood
from noyau.domain.geometry import Index3


@dataclass(frozen=True)
class BorderDecoder:
    """See `noyau.decoding.windowed.WindowDecoder`.

    Attributes:
        foreground: probability threshold of the foreground.
        seed: least depth minus border probability of a seed, 0 to 1.
        seed_voxels: smallest seed.
        min_voxels: smallest object kept.
        overlap: of neighbouring windows, z/y/x.
    """

    foreground: float = 0.5
    seed: float = 0.35
    seed_voxels: int = 8
    min_voxels: int = 60
    overlap: Index3 = (16, 32, 32)

    planes: ClassVar[int] = 3

    def __post_init__(self) -> None:
        check_share("foreground", self.foreground)
        check_share("seed", self.seed)

    def decode(self, prediction: np.ndarray) -> np.ndarray:
        """See `WindowDecoder.decode`."""
        check_planes(prediction, self.planes)
        nucleus, border, deep = prediction
        mask = nucleus >= threshold_byte(self.foreground)
        # Deep and border are bytes: their difference is an exact integer, whatever the window.
        inner = deep.astype(np.int16) - border
        seeds = cc3d.connected_components(mask & (inner >= threshold_byte(self.seed)), connectivity=6)
        sizes = np.bincount(seeds.ravel())
        small = sizes < self.seed_voxels
        small[0] = False
        seeds = np.where(small[seeds], 0, seeds).astype(np.int32)
        if not seeds.any():
            return seeds
        return flood(-inner, seeds, mask)
