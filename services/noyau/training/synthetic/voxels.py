"""Voxel sizes as microscopes have them, for training sets that should not know one microscope only."""

from __future__ import annotations

import numpy as np

from noyau.domain.geometry import VoxelSize
from noyau.training.synthetic.draws import log_uniform

LATERAL = (0.1, 2.0)
ANISOTROPY = (1.0, 10.0)
THICKEST = 5.0


def draw_voxel_size(seed: int, flat: bool = False) -> VoxelSize:
    """A voxel size drawn from the range of common microscopes.

    Args:
        seed: the same seed gives the same voxel size.
        flat: a 2D image: z is 1.

    Returns:
        Micrometres: y = x from 0.1 to 2, z one to ten times that but at most 5.
    """
    # A stream of its own: the scene of the same seed must not follow the voxel size.
    rng = np.random.default_rng([seed, 1])
    lateral = round(log_uniform(rng, LATERAL), 3)
    if flat:
        return VoxelSize(1.0, lateral, lateral)
    return VoxelSize(round(min(lateral * log_uniform(rng, ANISOTROPY), THICKEST), 3), lateral, lateral)
