"""Star-convex shapes: voxels deep inside a nucleus propose its whole outline, the best proposals stay.

StarDist's way (Schmidt et al. 2018, arXiv:1806.03535; Weigert et al. 2020, arXiv:1908.03636), with its compiled code.
There every deep voxel proposes; here those that are the deepest around, since the suppression of the others by their
neighbour is what takes the time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage as ndi

from noyau.decoding import star_geometry
from noyau.decoding.bytes_in import check_planes, check_share, signed, threshold_byte
from noyau.domain.geometry import Index3, as_index

_SHORTEST_RAY = 0.5


@dataclass(frozen=True)
class StarDecoder:
    """See `noyau.decoding.windowed.WindowDecoder`.

    Attributes:
        ndim: 2 or 3, of the rays.
        rays: how many.
        spacing: relative lengths of a voxel's edges for which the rays were spread, z/y/x.
        quantum: voxels per step of a length's byte.
        foreground: probability threshold of the foreground, which a candidate must reach.
        depth: least depth of a candidate, 0 to 1. What a network says of the middle of a nucleus stays well below 1,
            since it cannot know to a voxel where the middle is; shallow candidates lose against deeper ones anyway.
        share: of two shapes that have more than this share of the smaller in common the worse is dropped.
        apart: half width z/y/x of the window in which a candidate is the deepest.
        min_voxels: smallest object kept.
        overlap: of neighbouring windows, z/y/x.
    """

    ndim: int = 3
    rays: int = 48
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    quantum: float = 0.25
    foreground: float = 0.5
    depth: float = 0.3
    share: float = 0.3
    apart: Index3 = (1, 1, 1)
    min_voxels: int = 60
    overlap: Index3 = (16, 32, 32)

    def __post_init__(self) -> None:
        for name in ("foreground", "depth", "share"):
            check_share(name, getattr(self, name))
        if self.ndim not in (2, 3) or self.rays < 4 or min(self.apart) < 0 or self.quantum <= 0:
            raise ValueError(f"{self.rays} rays in {self.ndim} dimensions, apart {self.apart}, quantum {self.quantum}")

    @property
    def planes(self) -> int:
        """Foreground, depth and one length per ray."""
        return 2 + self.rays

    def decode(self, prediction: np.ndarray) -> np.ndarray:
        """See `WindowDecoder.decode`."""
        star_geometry.require()
        check_planes(prediction, self.planes)
        shape = as_index(prediction.shape[1:])
        points = self._candidates(prediction)
        if len(points) == 0:
            return np.zeros(shape, np.int32)
        at = (slice(None), *points.T)
        scores = prediction[at][1].astype(np.float32) / 255
        lengths = np.maximum(signed(prediction[at][2:].T, self.quantum), _SHORTEST_RAY)
        if self.ndim == 2:
            return star_geometry.polygons(lengths, scores, points[:, 1:], self.share, shape[1:])[None]
        return star_geometry.polyhedra(lengths, scores, points, self.spacing, self.share, shape)

    def _candidates(self, prediction: np.ndarray) -> np.ndarray:
        """Positions z/y/x of the proposals, int (n, 3)."""
        nucleus, deep = prediction[:2]
        window = [2 * a + 1 if n > 1 else 1 for a, n in zip(self.apart, deep.shape, strict=True)]
        deepest = deep == ndi.maximum_filter(deep, window)
        good = deepest & (nucleus >= threshold_byte(self.foreground)) & (deep >= threshold_byte(self.depth))
        return np.argwhere(good)
