"""Optics against the physics that they claim."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from noyau.domain.geometry import VoxelSize
from noyau.training.synthetic.optics import Optics, draw_optics, expose, record_light
from noyau.training.synthetic.recipe import OpticsRanges, Recipe

PERFECT = Optics(
    background=0, haze=0, bias=0, attenuation=0, from_top=True, psf=1e-6, elongation=1, tail=0, defocus=0, photons=100,
    read_noise=0, multiplied=False, specks=0, resampled=0, offset=0, swing=100, eight_bit=False,
)  # fmt: skip
VOXEL = VoxelSize(1.0, 0.5, 0.5)


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def point() -> np.ndarray:
    signal = np.zeros((41, 41, 41), np.float32)
    signal[20, 20, 20] = 1000
    return signal


def spread_of(light: np.ndarray, axis: int, size: float) -> float:
    profile = light.sum(axis=tuple(a for a in range(3) if a != axis)).astype(float)
    positions = (np.arange(len(profile)) - 20) * size
    return float(np.sqrt((profile * positions**2).sum() / profile.sum()))


def test_perfect_optics_change_nothing() -> None:
    np.testing.assert_allclose(expose(rng(), point(), VOXEL, PERFECT, 10), point(), rtol=1e-5)


def test_point_spread_is_longer_along_z_and_keeps_the_light() -> None:
    light = expose(rng(), point(), VOXEL, replace(PERFECT, psf=1.0, elongation=3.0), 10)
    assert light.sum() == pytest.approx(1000, rel=1e-3)
    assert spread_of(light, 0, VOXEL.z) == pytest.approx(3.0, rel=0.06)
    assert spread_of(light, 1, VOXEL.y) == pytest.approx(1.0, rel=0.06)
    assert spread_of(light, 2, VOXEL.x) == pytest.approx(1.0, rel=0.06)


def test_tails_widen_the_point_spread_and_keep_the_light() -> None:
    narrow = replace(PERFECT, psf=0.8, elongation=1.0)
    wide = expose(rng(), point(), VOXEL, replace(narrow, tail=0.4), 10)
    assert wide.sum() == pytest.approx(1000, rel=0.02)
    assert spread_of(wide, 2, VOXEL.x) > 1.5 * spread_of(expose(rng(), point(), VOXEL, narrow, 10), 2, VOXEL.x)


@pytest.mark.parametrize(("from_top", "first", "last"), [(True, 1.0, 0.4), (False, 0.4, 1.0)])
def test_light_is_lost_with_depth(from_top: bool, first: float, last: float) -> None:
    signal = np.ones((10, 4, 4), np.float32)
    light = expose(rng(), signal, VOXEL, replace(PERFECT, attenuation=0.6, from_top=from_top), 10)
    assert light[0].mean() == pytest.approx(first, rel=1e-4)
    assert light[-1].mean() == pytest.approx(last, rel=1e-4)


def test_background_haze_and_bias_are_light_where_nothing_is() -> None:
    signal = np.zeros((8, 32, 32), np.float32)
    signal[:, 12:20, 12:20] = 1
    even = expose(rng(), signal, VOXEL, replace(PERFECT, background=0.2), 4)
    assert even[0, 0, 0] == pytest.approx(0.2)
    hazy = expose(rng(), signal, VOXEL, replace(PERFECT, haze=0.2), 4)
    assert hazy[4, 10, 16] > hazy[4, 0, 0] > 0
    uneven = expose(rng(), np.ones_like(signal), VOXEL, replace(PERFECT, bias=0.3), 4)
    assert np.log(uneven).std() == pytest.approx(0.3, rel=1e-3)


def test_a_nucleus_out_of_focus_is_wider() -> None:
    signal = np.zeros((1, 60, 120), np.float32)
    signal[0, 25:35, 25:35] = signal[0, 25:35, 85:95] = 1
    defocused = np.zeros(signal.shape, bool)
    defocused[:, :, 60:] = True
    light = expose(rng(), signal, VOXEL, replace(PERFECT, psf=0.5), 5, defocused)
    assert light[0, :, :60].sum() == pytest.approx(light[0, :, 60:].sum(), rel=0.03)
    assert light[0, :, 60:].max() < 0.92 < light[0, :, :60].max()


def test_photon_noise_has_the_variance_of_its_mean() -> None:
    light = np.full((10, 100, 100), 0.5, np.float32)
    image = record_light(rng(), light, replace(PERFECT, photons=40, swing=40)).astype(float)
    assert image.mean() == pytest.approx(20, rel=0.01)
    assert image.var() == pytest.approx(20, rel=0.03)
    doubled = record_light(rng(), light, replace(PERFECT, photons=40, swing=40, multiplied=True)).astype(float)
    assert doubled.mean() == pytest.approx(20, rel=0.01)
    assert doubled.var() == pytest.approx(40, rel=0.05)


def test_offset_gain_and_read_noise() -> None:
    dark = np.zeros((10, 100, 100), np.float32)
    image = record_light(rng(), dark, replace(PERFECT, offset=500, swing=1000, photons=100, read_noise=2)).astype(float)
    assert image.mean() == pytest.approx(500, abs=1)
    assert image.std() == pytest.approx(20, rel=0.03)


def test_values_are_clipped_not_wrapped() -> None:
    light = np.full((1, 20, 20), 50, np.float32)
    assert (record_light(rng(), light, replace(PERFECT, swing=5000)) == 65535).all()
    below = record_light(rng(), light * 0, replace(PERFECT, offset=1, read_noise=50))
    assert below.min() == 0 and below.max() < 1000


def test_eight_bit_fills_its_range() -> None:
    light = np.random.default_rng(0).random((4, 64, 64)).astype(np.float32)
    image = record_light(rng(), light, replace(PERFECT, photons=1000, swing=1000, eight_bit=True))
    assert image.dtype == np.uint8
    assert image.max() > 140 and image.min() == 0


def test_drawn_optics_still_resolve_the_nuclei() -> None:
    ranges = Recipe.wide().optics
    for seed in range(200):
        optics = draw_optics(np.random.default_rng(seed), ranges, diameter=6.0)
        assert optics.psf <= 0.12 * 6 + 1e-9
        assert optics.psf * optics.elongation <= 0.22 * 6 + 1e-9
        assert optics.read_noise <= optics.photons / 4
    assert draw_optics(rng(), OpticsRanges(eight_bit=1.0), 6.0).eight_bit
