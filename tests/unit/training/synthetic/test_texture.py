"""Texture: what makes a nucleus brighter or darker, and that nothing shines outside of nuclei but debris."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from noyau.domain.geometry import VoxelSize
from noyau.training.synthetic.labels import Raster, rasterise
from noyau.training.synthetic.recipe import TextureRanges
from noyau.training.synthetic.shapes import WAVES, Nucleus
from noyau.training.synthetic.texture import Chromatin, draw_chromatin, paint, scatter_debris

VOXEL = VoxelSize(0.5, 0.25, 0.25)
SHAPE = (40, 80, 120)
SMOOTH = Chromatin(0.0, 0.0, 0.5, False, 1.0, 0.0, 0.0, 1e-3)


def nuclei(kind: str = "interphase") -> list[Nucleus]:
    places = ([10.0, 10, 9], [10.0, 10, 21.5])
    return [Nucleus(np.array(p), np.array([7.0, 8, 6.3]), np.eye(3), np.zeros((WAVES, 5)), 0.0, kind) for p in places]


def painted(chromatin: Chromatin, ranges: TextureRanges | None = None, kind: str = "interphase") -> tuple:
    raster = rasterise(nuclei(kind), SHAPE, VOXEL)
    ranges = ranges or TextureRanges()
    return raster, paint(np.random.default_rng(4), raster, nuclei(kind), VOXEL, ranges, chromatin)


def test_a_smooth_nucleus_is_one_everywhere_and_nothing_is_outside() -> None:
    raster, signal = painted(SMOOTH)
    assert (signal[raster.labels == 0] == 0).all()
    inner = (raster.labels > 0) & (raster.level < 0.99)
    np.testing.assert_allclose(signal[inner], 1, rtol=1e-4)


def test_grain_has_the_contrast_asked_for() -> None:
    raster, signal = painted(replace(SMOOTH, contrast=0.2))
    assert signal[raster.labels > 0].std() == pytest.approx(0.2, abs=0.06)
    assert signal[raster.labels > 0].mean() == pytest.approx(1, abs=0.1)


def test_chromocentres_are_bright_and_peripheral() -> None:
    raster, signal = painted(replace(SMOOTH, chromocentres=True, chromocentre_gain=1.5))
    bright = signal > 1.8
    assert 0.001 < bright[raster.labels > 0].mean() < 0.2
    assert raster.level[bright].mean() > 0.5


def test_nucleoli_are_holes_inside() -> None:
    raster, signal = painted(replace(SMOOTH, nucleolus_depth=0.8), TextureRanges(nucleoli=(3, 3)))
    dark = (signal < 0.5) & (raster.labels > 0) & (raster.level < 0.9)
    assert dark.any()
    assert raster.level[dark].max() < 0.9


def test_seam_between_touching_nuclei_is_darker() -> None:
    raster, signal = painted(replace(SMOOTH, gap=0.8))
    assert signal[20, 40, 60] < 0.6
    assert signal[20, 40, 36] == pytest.approx(1, abs=0.05)
    assert raster.labels[20, 40, 60] != raster.labels[20, 40, 63]


def test_condensed_chromatin_is_brighter() -> None:
    for kind in ("plate", "pyknotic"):
        raster, signal = painted(SMOOTH, kind=kind)
        assert signal[raster.labels > 0].mean() > 1.25


def test_dropping_a_nucleus_does_not_change_the_others() -> None:
    raster, both = painted(replace(SMOOTH, contrast=0.3, brightness_spread=0.4))
    only = Raster(np.where(raster.labels == 2, 2, 0).astype(np.int32), raster.level, raster.second)
    chromatin = replace(SMOOTH, contrast=0.3, brightness_spread=0.4)
    alone = paint(np.random.default_rng(4), only, nuclei(), VOXEL, TextureRanges(), chromatin)
    np.testing.assert_array_equal(alone, np.where(raster.labels == 2, both, 0))


@pytest.mark.parametrize("shape", [SHAPE, (1, 80, 120)])
def test_debris_never_covers_a_nucleus(shape: tuple[int, int, int]) -> None:
    signal = np.zeros(shape, np.float32)
    signal[:, 20:60, 20:60] = 7
    scatter_debris(np.random.default_rng(0), signal, VOXEL, 10.0, 60)
    assert (signal[:, 20:60, 20:60] == 7).all()
    outside = (signal > 0).sum() - (signal == 7).sum()
    assert 0 < outside < 0.5 * signal.size


def test_chromatin_is_drawn_from_its_ranges() -> None:
    ranges = TextureRanges(contrast=(0.2, 0.3), chromocentre_chance=1.0)
    chromatin = draw_chromatin(np.random.default_rng(0), ranges)
    assert 0.2 <= chromatin.contrast <= 0.3
    assert chromatin.chromocentres
