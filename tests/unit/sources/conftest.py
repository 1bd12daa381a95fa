"""Small images for the tests of sources."""

from __future__ import annotations

import numpy as np
import pytest
from noyau.domain.access import AccessPolicy


@pytest.fixture
def access() -> AccessPolicy:
    return AccessPolicy.everything()


@pytest.fixture
def volume() -> np.ndarray:
    """4 x 6 x 8 voxels that are all different."""
    return np.arange(4 * 6 * 8, dtype=np.uint16).reshape(4, 6, 8) + 7
