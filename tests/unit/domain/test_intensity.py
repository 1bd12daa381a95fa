"""Normalisation: robust to gain, offset, constant and damaged input, and the same in training and inference."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from noyau.domain.intensity import compress, normalise, percentiles, rescale
from noyau.domain.model import Normalisation
from noyau.training.augmentation import compress as compress_tensor

PARAMS = Normalisation(low=25.0, high=99.8)


@pytest.fixture
def image():
    rng = np.random.default_rng(0)
    pixels = rng.poisson(100, (8, 32, 32)).astype(np.uint16)
    pixels[2:6, 8:20, 8:20] += 400
    return pixels


def whole(image):
    return normalise(image, *percentiles(image, PARAMS), PARAMS)


@given(gain=st.floats(0.25, 4.0), offset=st.floats(0.0, 2000.0))
@settings(max_examples=20, deadline=None)
def test_gain_and_offset_of_the_camera_cancel(gain, offset):
    rng = np.random.default_rng(1)
    image = rng.normal(100.0, 10.0, (16, 16)) + 300.0 * (rng.random((16, 16)) > 0.8)
    assert np.allclose(whole(image), whole(image * gain + offset), atol=1e-3)


@pytest.mark.parametrize("dtype", ["uint8", "int16", ">u2", "uint32", "float32", "float64", "bool"])
def test_every_type_gives_finite_float32(image, dtype):
    x = whole((image // 4).astype(dtype))
    assert x.dtype == np.float32 and np.isfinite(x).all()


@pytest.mark.parametrize("value", [0, 7, 65535, 1e30, -3.5])
def test_a_constant_image_becomes_zero(value):
    assert not whole(np.full((4, 5, 6), value)).any()


def test_values_far_above_the_percentile_are_clipped():
    x = normalise(np.array([0.0, 1.0, 1e9]), 0.0, 1.0, PARAMS)
    assert x[0] == 0 and x[1] == pytest.approx(1.0) and x[2] == pytest.approx(np.arcsinh(60) / np.arcsinh(3), rel=1e-5)


def test_compression_is_monotonic():
    x = np.linspace(-0.5, 20, 1000, dtype=np.float32)
    assert (np.diff(compress(x, PARAMS)) > 0).all()


def test_a_tile_is_normalised_like_the_whole(image):
    low, high = percentiles(image, PARAMS)
    assert np.array_equal(normalise(image, low, high, PARAMS)[2:5, 3:9], normalise(image[2:5, 3:9], low, high, PARAMS))


def test_percentiles_ignore_nan_and_survive_an_empty_sample():
    assert percentiles(np.array([np.nan, 1.0, 1.0, np.inf]), PARAMS) == (1.0, 1.0)
    assert percentiles(np.zeros((0, 3)), PARAMS) == (0.0, 0.0)
    assert percentiles(np.array([np.nan]), PARAMS) == (0.0, 0.0)


def test_the_input_is_not_changed(image):
    before = image.astype(np.float32)
    given_in = before.copy()
    normalise(given_in, 10.0, 100.0, PARAMS)
    assert np.array_equal(given_in, before)


def test_training_compresses_as_inference_does(image):
    scaled = rescale(image, *percentiles(image, PARAMS))
    assert np.allclose(compress(scaled, PARAMS), compress_tensor(torch.from_numpy(scaled), PARAMS).numpy(), atol=1e-6)


def test_the_negative_of_dark_nuclei_looks_as_bright_ones_do(image):
    inverted = replace(PARAMS, inverted=True)
    negative = image.max() - image
    ends = percentiles(negative, inverted)
    assert ends[0] > ends[1]
    assert np.allclose(normalise(negative, *ends, inverted), whole(image), atol=1e-5)


@pytest.mark.parametrize("value", [0, 65535, 1e30, -3.5])
def test_an_inverted_constant_image_becomes_zero(value):
    params = replace(PARAMS, inverted=True)
    constant = np.full((4, 5, 6), value)
    assert not normalise(constant, *percentiles(constant, params), params).any()
