"""Nuclei of another size than the model's are found without a word about it, and the service says what it did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from noyau.domain.geometry import VoxelSize
from noyau.training.metrics import score
from noyau.training.synthetic import generate, recipe_named
from product_kit import VOXEL, Service, label_array

Make = Callable[..., Path]

SMALL_NUCLEI = 97002
"""Seed of a dense tissue whose nuclei are half as large as those of `nuclei-3d`."""


@pytest.mark.slow
def test_small_nuclei_are_looked_for_at_their_own_size(service: Service, place: Path, make_image: Make) -> None:
    made = generate((24, 96, 96), VoxelSize(*VOXEL), SMALL_NUCLEI, recipe_named("tissue"))
    path = make_image(place / "tissue.ome.zarr", made.image, scale=VOXEL, chunks=(16, 64, 64))
    told = service.cli("segment", str(path))
    assert told.code == 0, told.err
    assert "Segmented for nuclei of" in told.err
    by_voxel_size = service.cli("segment", str(path), "--diameter", "model", "--labels", "plain")
    assert by_voxel_size.code == 0, by_voxel_size.err
    assert "Segmented for nuclei of" not in by_voxel_size.err
    found, plain = (f1(made.labels, label_array(path, name)) for name in ("nuclei", "plain"))
    assert found > 0.7 > 0.4 > plain


def f1(truth: np.ndarray, found: np.ndarray) -> float:
    return float(score(truth.astype(np.int32), found.astype(np.int32), (0.5,)).f1(0.5))
