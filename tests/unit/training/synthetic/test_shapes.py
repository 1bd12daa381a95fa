"""Shapes against the geometry that they claim."""

from __future__ import annotations

import numpy as np
import pytest
from noyau.domain.geometry import VoxelSize
from noyau.training.synthetic.labels import rasterise
from noyau.training.synthetic.recipe import SceneRanges
from noyau.training.synthetic.shapes import WAVES, Nucleus, draw_nucleus

VOXEL = VoxelSize(1.0, 0.5, 0.25)
SHAPE = (24, 48, 96)
CENTRE = np.array([12.0, 12.0, 12.0])


def plain(radii: tuple[float, float, float]) -> Nucleus:
    return Nucleus(CENTRE, np.array(radii), np.eye(3), np.zeros((WAVES, 5)))


def test_raster_of_an_ellipsoid_has_its_volume_and_extent() -> None:
    nucleus = plain((8.0, 6.0, 4.0))
    labels = rasterise([nucleus], SHAPE, VOXEL).labels
    assert labels.sum() * VOXEL.volume == pytest.approx(nucleus.volume(flat=False), rel=0.01)
    lengths = [np.ptp(np.flatnonzero(labels.any(axis=other))) + 1 for other in ((1, 2), (0, 2), (0, 1))]
    assert lengths == [16, 24, 32]


def test_level_is_the_relative_distance_from_the_centre() -> None:
    level = rasterise([plain((8.0, 6.0, 4.0))], SHAPE, VOXEL).level
    # Voxel 12 + 4 along z, at the centre in y and x up to half a voxel.
    assert level[16, 24, 48] == pytest.approx(4.5 / 8, abs=0.02)
    assert level[12, 24, 48 + 8] == pytest.approx(2.125 / 4, abs=0.02)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("flat", [False, True])
def test_no_shape_leaves_its_bounding_box(seed: int, flat: bool) -> None:
    rng = np.random.default_rng(seed)
    kind = ("interphase", "plate", "pyknotic")[seed % 3]
    nucleus = draw_nucleus(rng, SceneRanges(roundness=(0.4, 1.0)), 9.0, 0.15, flat, kind).moved(CENTRE)
    if flat:
        nucleus = nucleus.moved(CENTRE * [0, 1, 1])
    shape = (1, *SHAPE[1:]) if flat else SHAPE
    box = nucleus.box(shape, VOXEL)
    cut = rasterise([nucleus], shape, VOXEL).labels

    class Everywhere(Nucleus):
        reach = np.array([100.0, 100.0, 100.0])  # type: ignore[assignment]

    whole = rasterise([Everywhere(**vars(nucleus))], shape, VOXEL).labels
    np.testing.assert_array_equal(cut, whole)
    assert cut.any() and box.voxels < whole.size


@pytest.mark.parametrize("flat", [False, True])
def test_deformation_and_bend_keep_the_size(flat: bool) -> None:
    rng = np.random.default_rng(1)
    shape, centre = ((1, 200, 400), CENTRE * [0, 4, 4]) if flat else ((48, 96, 192), CENTRE * 2)
    ratios = []
    for _ in range(30):
        nucleus = draw_nucleus(rng, SceneRanges(roundness=(0.5, 1.0)), 12.0, 0.08, flat, "interphase").moved(centre)
        voxels = rasterise([nucleus], shape, VOXEL).labels.sum()
        ratios.append(voxels * (VOXEL.y * VOXEL.x if flat else VOXEL.volume) / nucleus.volume(flat))
    assert np.mean(ratios) == pytest.approx(1, abs=0.08)
    assert min(ratios) > 0.5 and max(ratios) < 1.6
