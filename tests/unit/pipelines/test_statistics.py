"""Percentiles of a whole image from one bounded pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from noyau.domain.intensity import normalise
from noyau.domain.model import Normalisation
from noyau.domain.progress import SilentReporter
from noyau.pipelines import statistics
from noyau.pipelines.frames import normaliser
from noyau.pipelines.memory import ArraySource
from noyau.pipelines.statistics import Intensity, measure_intensity, sample_blocks

PARAMS = Normalisation(low=25, high=99.8)


INVERTED = replace(PARAMS, inverted=True)


def intensity(image, chunk=None, params=PARAMS):
    source = ArraySource(image)
    if chunk:
        source.info = replace(source.info, chunk=chunk)
    return measure_intensity(source, 0, params, SilentReporter())


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int64", "float32", "float64"])
def test_percentiles_match_numpy(dtype):
    image = np.random.default_rng(0).normal(20, 30, (9, 31, 37)).clip(0, 120).astype(dtype)
    expected = np.percentile(image, [25, 99.8])
    found = intensity(image, chunk=(2, 8, 16))
    np.testing.assert_allclose([found.low, found.high], expected, rtol=1e-6)
    assert not found.is_flat


def test_a_constant_image_is_flat():
    assert intensity(np.full((3, 4, 5), 7, np.uint16)) == Intensity(7.0, 7.0, is_flat=True)
    assert intensity(np.full((3, 4, 5), 7.5)).is_flat


def test_a_few_bright_voxels_set_the_high_value():
    image = np.zeros((10, 30, 30), np.uint16)
    image[5, 5, 5:8] = 900
    assert intensity(image) == Intensity(0.0, 900.0)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_dark_nuclei_on_a_bright_ground_are_measured_from_above(dtype):
    image = np.random.default_rng(0).normal(60, 20, (9, 31, 37)).clip(0, 120).astype(dtype)
    found = intensity(image, params=INVERTED)
    np.testing.assert_allclose([found.low, found.high], np.percentile(image, [75, 0.2]), rtol=1e-6)
    ground = np.full((10, 30, 30), 100, dtype)
    ground[5, 5, 5:8] = 7
    assert intensity(ground, params=INVERTED) == Intensity(100.0, 7.0)
    assert intensity(np.full((3, 4, 5), 7, dtype), params=INVERTED) == Intensity(7.0, 7.0, is_flat=True)


def test_blocks_partition_a_small_image_and_thin_out_a_large_one(monkeypatch):
    shape = (16, 64, 64)
    monkeypatch.setattr(statistics, "BLOCK_VOXELS", 2000)
    blocks = list(sample_blocks(shape, (4, 16, 16)))
    assert sum(b.voxels for b in blocks) == 16 * 64 * 64
    monkeypatch.setattr(statistics, "SAMPLE_VOXELS", 16 * 64 * 8)
    thin = list(sample_blocks(shape, (4, 16, 16)))
    assert 0 < sum(b.voxels for b in thin) <= 16 * 64 * 8
    assert len({b.start[2] for b in thin}) > 1
    assert len({b.start[0] for b in thin}) > 1


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32", "uint32"])
def test_the_table_gives_exactly_what_the_formula_gives(dtype):
    image = np.random.default_rng(1).integers(0, 120, (4, 5, 6)).astype(dtype)
    apply = normaliser(dtype, Intensity(10.0, 90.0), PARAMS)
    np.testing.assert_array_equal(apply(image), normalise(image, 10.0, 90.0, PARAMS))
    rescaled = image.astype(np.float32) + 0.5
    np.testing.assert_array_equal(apply(rescaled), normalise(rescaled, 10.0, 90.0, PARAMS))
