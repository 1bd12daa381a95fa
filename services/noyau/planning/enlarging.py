"""Labels of a coarser resolution level on the grid of the finest one, by repeating voxels. Pure index arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from noyau.domain.geometry import Box, Index3, as_index


@dataclass(frozen=True)
class Enlarging:
    """From a coarse grid to a fine one; voxel i of the fine grid shows voxel i * coarse // fine of the coarse one.

    Attributes:
        coarse, fine: shapes z/y/x.
    """

    coarse: Index3
    fine: Index3

    @property
    def is_identity(self) -> bool:
        return self.coarse == self.fine

    def fine_box(self, box: Box) -> Box:
        """The voxels of the fine grid that show a box of the coarse one."""
        start, stop = (
            as_index(-(-a * fine // coarse) for a, fine, coarse in zip(corner, self.fine, self.coarse, strict=True))
            for corner in (box.start, box.stop)
        )
        return Box(start, stop)

    def read(self, read: Callable[[Box], np.ndarray], box: Box) -> np.ndarray:
        """Labels of a box of the fine grid.

        Args:
            read: gives labels of a box of the coarse grid.
            box: of the fine grid, not empty.
        """
        if self.is_identity:
            return read(box)
        index = [
            np.arange(a, b) * coarse // fine
            for a, b, coarse, fine in zip(box.start, box.stop, self.coarse, self.fine, strict=True)
        ]
        need = Box(as_index(int(i[0]) for i in index), as_index(int(i[-1]) + 1 for i in index))
        part = read(need)
        return part[np.ix_(*(i - i[0] for i in index))]
