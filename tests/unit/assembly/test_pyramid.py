from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from noyau.assembly.pyramid import Level, coarse_box, downsample, fine_box, plan_levels
from noyau.domain.geometry import Box, VoxelSize

lengths = st.integers(1, 12)


@given(shape=st.tuples(lengths, lengths, lengths), factor=st.tuples(*[st.integers(1, 3)] * 3), data=st.data())
def test_units_make_the_level_that_the_whole_makes(shape, factor, data):
    labels = np.arange(np.prod(shape), dtype=np.uint32).reshape(shape)
    whole = labels[:: factor[0], :: factor[1], :: factor[2]]
    result = np.full_like(whole, 2**32 - 1)
    cuts = [sorted({0, n, data.draw(st.integers(0, n))}) for n in shape]
    for z in zip(cuts[0], cuts[0][1:], strict=False):
        for y in zip(cuts[1], cuts[1][1:], strict=False):
            for x in zip(cuts[2], cuts[2][1:], strict=False):
                box = Box((z[0], y[0], x[0]), (z[1], y[1], x[1]))
                result[coarse_box(box, factor).slices] = downsample(labels[box.slices], box.start, factor)
    np.testing.assert_array_equal(result, whole)


@given(shape=st.tuples(lengths, lengths, lengths), factor=st.tuples(*[st.integers(1, 3)] * 3), data=st.data())
def test_a_coarse_box_is_made_from_its_fine_box(shape, factor, data):
    labels = np.arange(np.prod(shape), dtype=np.uint32).reshape(shape)
    whole = labels[:: factor[0], :: factor[1], :: factor[2]]
    start = tuple(data.draw(st.integers(0, n - 1)) for n in whole.shape)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, whole.shape, strict=True))
    source = fine_box(Box(start, stop), factor, shape)
    np.testing.assert_array_equal(
        downsample(labels[source.slices], source.start, factor), whole[Box(start, stop).slices]
    )


def test_z_is_halved_once_the_voxels_are_as_long_in_x():
    levels = plan_levels((51, 256, 256), VoxelSize(1.75, 0.8, 0.8))
    assert levels == (
        Level((51, 256, 256), (1, 1, 1)),
        Level((51, 128, 128), (1, 2, 2)),
        Level((26, 64, 64), (2, 4, 4)),
    )


@pytest.mark.parametrize(
    ("shape", "last"), [((1, 520, 696), (1, 33, 44)), ((1, 1, 1), (1, 1, 1)), ((300, 64, 64), (300, 64, 64))]
)
def test_planes_and_small_volumes(shape, last):
    assert plan_levels(shape)[-1].shape == last


def test_levels_follow_the_image_whichever_way_it_rounds():
    floor = plan_levels((21, 101, 99), like=[(21, 101, 99), (21, 50, 49), (10, 25, 24)])
    ceil = plan_levels((21, 101, 99), like=[(21, 101, 99), (21, 51, 50), (11, 26, 25)])
    assert [level.factor for level in floor] == [(1, 1, 1), (1, 2, 2), (2, 4, 4)]
    assert floor == ceil
    assert floor[2].shape == (11, 26, 25)
