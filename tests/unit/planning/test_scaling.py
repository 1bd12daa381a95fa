"""Rescaling is a function of global coordinates: tiles cannot change it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from noyau.domain.geometry import Box, VoxelSize
from noyau.planning.scaling import Scaling, plan_scaling

STEPS = st.tuples(*[st.sampled_from([1.0, 0.31, 0.5, 1.7, 2.0, 3.3])] * 3)
IMAGE = np.random.default_rng(1).integers(0, 4000, (13, 29, 31)).astype(np.uint16)


def reader(box):
    return IMAGE[box.slices]


@settings(max_examples=40, deadline=None)
@given(STEPS, st.data())
def test_any_box_equals_the_crop_of_the_whole_bit_for_bit(step, data):
    scaling = Scaling(IMAGE.shape, step)
    whole = scaling.read(reader, Box.of(scaling.shape))
    assert whole.shape == scaling.shape
    start = [data.draw(st.integers(0, n - 1)) for n in scaling.shape]
    box = Box(tuple(start), tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, scaling.shape, strict=True)))
    np.testing.assert_array_equal(scaling.read(reader, box), whole[box.slices])


def test_identity_reads_the_pixels_as_they_are():
    scaling = plan_scaling(IMAGE.shape, VoxelSize(1.7, 0.8, 0.8), VoxelSize(1.75, 0.82, 0.8))
    assert scaling.is_identity
    got = scaling.read(reader, Box((1, 2, 3), (4, 5, 6)))
    assert got.dtype == np.uint16
    np.testing.assert_array_equal(got, IMAGE[1:4, 2:5, 3:6])


def test_only_axes_beyond_the_tolerance_are_rescaled():
    assert plan_scaling((10, 20, 30), VoxelSize(0.5, 0.8, 0.1), VoxelSize(1.0, 0.8, 0.4)).step == (2.0, 1.0, 4.0)


@pytest.mark.parametrize("step", [0.4, 1.0, 2.5])
def test_a_constant_stays_constant(step):
    scaling = Scaling((6, 17, 9), (step, step, step))
    got = scaling.read(lambda b: np.full(b.shape, 700, np.uint16), Box.of(scaling.shape))
    np.testing.assert_allclose(got, 700, rtol=1e-6)


def test_shrinking_removes_what_the_coarse_grid_cannot_show():
    stripes = np.broadcast_to(np.arange(64) % 2 * 100.0, (1, 1, 64)).astype(np.float32)
    got = Scaling((1, 1, 64), (1.0, 1.0, 4.0)).read(lambda b: stripes[b.slices], Box.of((1, 1, 16)))
    np.testing.assert_allclose(got[..., 1:-1], 50, atol=1)


def test_enlarging_a_ramp_keeps_it_straight():
    ramp = np.arange(16, dtype=np.float32).reshape(1, 1, 16)
    got = Scaling((1, 1, 16), (1.0, 1.0, 0.5)).read(lambda b: ramp[b.slices], Box.of((1, 1, 32)))
    np.testing.assert_allclose(got[0, 0, 1:-1], (np.arange(1, 31) + 0.5) * 0.5 - 0.5, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(STEPS, st.data())
def test_labels_come_back_the_same_for_any_box(step, data):
    scaling = Scaling(IMAGE.shape, step)
    labels = np.arange(np.prod(scaling.shape)).reshape(scaling.shape)
    whole = scaling.labels_to_image(labels, (0, 0, 0), Box.of(IMAGE.shape))
    assert whole.shape == IMAGE.shape
    start = [data.draw(st.integers(0, n - 1)) for n in IMAGE.shape]
    box = Box(tuple(start), tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, IMAGE.shape, strict=True)))
    source = scaling.to_model(box)
    np.testing.assert_array_equal(scaling.labels_to_image(labels[source.slices], source.start, box), whole[box.slices])


def test_extreme_shrinking_leaves_one_voxel():
    assert Scaling((3, 3, 3), (50.0, 50.0, 50.0)).shape == (1, 1, 1)
