"""The same crop seen otherwise: mirrored, transposed, brighter, dimmer; and predictions turned back for comparison."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noyau.domain.geometry import VoxelSize


@dataclass(frozen=True)
class View:
    """One way of looking at a crop that leaves its nuclei what they are.

    Attributes:
        flips: axes z/y/x that are mirrored.
        transposed: y and x change places, after the mirroring.
        gain: factor on the normalised intensity.
    """

    flips: tuple[bool, bool, bool] = (False, False, False)
    transposed: bool = False
    gain: float = 1.0

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """The crop z/y/x as this view shows it (the gain belongs to the normalisation)."""
        turned = pixels[tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flips)]
        return np.ascontiguousarray(turned.swapaxes(1, 2) if self.transposed else turned)

    def voxel_size(self, size: VoxelSize) -> VoxelSize:
        """The voxel size of the turned crop, micrometres."""
        return VoxelSize(size.z, size.x, size.y) if self.transposed else size

    def undo(self, labels: np.ndarray) -> np.ndarray:
        """An array z/y/x of the turned crop on the grid of the crop itself."""
        straight = labels.swapaxes(1, 2) if self.transposed else labels
        return np.ascontiguousarray(straight[tuple(slice(None, None, -1) if f else slice(None) for f in self.flips)])


def views_for(flat: bool) -> tuple[View, ...]:
    """The views that are compared; the first is the crop as it is.

    Mirror images, a transposition and gains that differ by a factor of four cover what a network that knows the domain
    takes in its stride.

    Args:
        flat: the crop has one plane.
    """
    deep = not flat
    return (
        View(),
        View(flips=(False, True, False), gain=0.5),
        View(flips=(deep, False, True), gain=2.0),
        View(flips=(deep, True, False), transposed=True),
    )
