"""Following the flow: every foreground voxel walks along the predicted directions; those that meet are one nucleus.

The idea is that of Cellpose (Stringer et al. 2021, doi:10.1038/s41592-020-01018-x); where voxels meet is found as the
vote's centres are, by the density of what arrives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

from noyau.decoding.bytes_in import check_planes, check_share, signed, threshold_byte
from noyau.domain.geometry import Index3


@dataclass(frozen=True)
class FlowDecoder:
    """See `noyau.decoding.windowed.WindowDecoder`.

    Attributes:
        foreground: probability threshold.
        quantum: length per step of a direction's byte.
        steps: how many steps of half a voxel a voxel walks; enough for the longest way to a middle.
        smooth: standard deviation z/y/x, voxels, by which arrivals are blurred before they are counted.
        apart: half width z/y/x of the window in which a meeting point must be the densest.
        arrivals: least number of voxels that arrive within a voxel's reach of a meeting point.
        spacing: relative lengths of a voxel's edges, z/y/x.
        reach: how far from a meeting point, in the shortest edges, a voxel that belongs to it may end.
        min_voxels: smallest object kept.
        overlap: of neighbouring windows, z/y/x.
    """

    foreground: float = 0.5
    quantum: float = 0.01
    steps: int = 40
    smooth: tuple[float, float, float] = (0.6, 1.0, 1.0)
    apart: Index3 = (2, 4, 4)
    arrivals: float = 30.0
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    reach: float = 6.0
    min_voxels: int = 60
    overlap: Index3 = (16, 32, 32)

    planes: ClassVar[int] = 4

    def __post_init__(self) -> None:
        check_share("foreground", self.foreground)
        if self.steps < 1 or self.quantum <= 0 or self.reach <= 0:
            raise ValueError(f"{self.steps} steps, quantum {self.quantum}, reach {self.reach}")

    def decode(self, prediction: np.ndarray) -> np.ndarray:
        """See `WindowDecoder.decode`."""
        check_planes(prediction, self.planes)
        labels = np.zeros(prediction.shape[1:], np.int32)
        voxels = np.argwhere(prediction[0] >= threshold_byte(self.foreground))
        if len(voxels) == 0:
            return labels
        ends = self._walk(signed(prediction[1:], self.quantum), voxels)
        points = self._meeting_points(ends, labels.shape)
        if len(points) == 0:
            return labels
        edges = np.array(self.spacing)
        distance, nearest = cKDTree(points * edges).query(ends * edges, distance_upper_bound=self.reach)
        labels[tuple(voxels.T)] = np.where(np.isfinite(distance), nearest + 1, 0)
        return labels

    def _walk(self, flow: np.ndarray, voxels: np.ndarray) -> np.ndarray:
        """Where each voxel ends, float32 (n, 3)."""
        last = np.array(flow.shape[1:], np.float32) - 1
        position = voxels.astype(np.float32)
        for _ in range(self.steps):
            at = np.rint(position).astype(np.intp)
            # Nearest, not interpolated: directions of two nuclei are never mixed. Half steps damp the overshoot.
            position += 0.5 * flow[(slice(None), *at.T)].T
            np.clip(position, 0, last, out=position)
        return position

    def _meeting_points(self, ends: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Positions z/y/x of the densest arrivals, in raster order, (n, 3)."""
        arrived = np.zeros(shape, np.float32)
        np.add.at(arrived, tuple(np.rint(ends).astype(np.intp).T), 1.0)
        smooth = [s if n > 1 else 0.0 for s, n in zip(self.smooth, shape, strict=True)]
        density = ndi.gaussian_filter(arrived, smooth, mode="constant", truncate=3.0)
        # What a single pile of so many arrivals would weigh at its top.
        top = np.prod([1.0 / (np.sqrt(2 * np.pi) * s) if s > 0.4 else 1.0 for s in smooth])
        window = [2 * a + 1 if n > 1 else 1 for a, n in zip(self.apart, shape, strict=True)]
        peak = (density == ndi.maximum_filter(density, window, mode="constant")) & (density >= self.arrivals * top)
        return _first_of_equals(np.argwhere(peak), np.array([max(a, 0.5) for a in self.apart]))


def _first_of_equals(points: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """Of equally dense peaks in one window, the first in raster order; `points` (n, 3) are in that order."""
    kept = np.ones(len(points), bool)
    for early, late in sorted(cKDTree(points / apart).query_pairs(1.0, p=np.inf)) if len(points) > 1 else ():
        kept[late] &= not kept[early]
    return points[kept]
