"""Windows of one shape, cores that partition the image, halos where they are needed."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import Box
from noyau.planning.grid import plan_grid
from noyau.planning.tiles import choose_tile

SIZES = st.tuples(st.integers(1, 24), st.integers(1, 90), st.integers(1, 90))
TILES = st.tuples(st.integers(4, 32), st.integers(8, 64), st.integers(8, 64))
HALOS = st.tuples(st.integers(0, 6), st.integers(0, 16), st.integers(0, 16))
STRIDES = st.tuples(st.sampled_from([1, 2]), st.sampled_from([1, 4, 8]), st.sampled_from([1, 4, 8]))


@settings(max_examples=60, deadline=None)
@given(SIZES, TILES, HALOS, STRIDES)
def test_cores_partition_the_image_and_windows_give_them_exactly(shape, tile, halo, stride):
    grid = plan_grid(shape, tile, halo, stride)
    covered = np.zeros(shape, np.uint8)
    for t in grid.tiles:
        assert t.core.voxels > 0
        covered[t.core.slices] += 1
        assert t.padded.shape == grid.window
        assert t.padded.contains(t.core)
        for axis in range(3):
            low, high = -grid.frame[axis], shape[axis] + grid.frame[axis]
            assert t.padded.start[axis] % stride[axis] == 0
            # A face inside the domain is at least a halo away; a face on its border needs none.
            if t.padded.start[axis] > low:
                assert t.core.start[axis] - t.padded.start[axis] >= halo[axis]
            if t.padded.stop[axis] < high:
                assert t.padded.stop[axis] - t.core.stop[axis] >= halo[axis]
    assert (covered == 1).all()


@settings(max_examples=40, deadline=None)
@given(SIZES, TILES, HALOS, STRIDES, st.data())
def test_touching_names_exactly_the_tiles_that_meet_a_box(shape, tile, halo, stride, data):
    grid = plan_grid(shape, tile, halo, stride)
    start = [data.draw(st.integers(-5, n)) for n in shape]
    box = Box(tuple(start), tuple(a + data.draw(st.integers(0, 80)) for a in start))
    expected = tuple(t.index for t in grid.tiles if t.core.intersection(box.clipped(shape)).voxels)
    assert grid.touching(box) == expected


def test_the_domain_does_not_depend_on_the_tile():
    ends = set()
    for tile in [(8, 16, 16), (16, 32, 64), (51, 120, 120), (400, 400, 400)]:
        tiles = plan_grid((51, 120, 120), tile, (12, 32, 32), (2, 4, 4)).tiles
        first, last = tiles[0].padded, tiles[-1].padded
        ends.add((first.start, last.stop))
    assert len(ends) == 1


def test_no_work_is_spent_outside_the_frame():
    # One window covers the z axis, two each cover y and x; cores at the border are wider by a halo.
    grid = plan_grid((44, 120, 120), (32, 48, 48), (12, 32, 32), (2, 4, 4))
    assert grid.counts == (1, 2, 2)
    assert plan_grid((51, 120, 120), (64, 128, 128), (12, 32, 32), (2, 4, 4)).work < 1.35


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 500), (3, 2, 1), (1, 200, 3)])
def test_thin_images_have_a_grid(shape):
    grid = plan_grid(shape, (32, 64, 64), (12, 32, 32), (2, 4, 4))
    assert sum(t.core.voxels for t in grid.tiles) == prod(shape)


@pytest.mark.parametrize(("shape", "tile"), [((0, 4, 4), (8, 8, 8)), ((4, 4, 4), (0, 8, 8)), ((4, 4, 4), (8, -1, 8))])
def test_empty_images_and_tiles_are_refused(shape, tile):
    with pytest.raises(InvalidInput):
        plan_grid(shape, tile, (2, 4, 4), (2, 4, 4))


@settings(max_examples=30, deadline=None)
@given(SIZES, st.integers(1, 3))
def test_the_chosen_tile_respects_the_memory(shape, thousand):
    halo, stride = (4, 8, 8), (2, 4, 4)
    limit = thousand * 60_000
    grid = plan_grid(shape, choose_tile(shape, halo, stride, limit), halo, stride)
    smallest = plan_grid(shape, stride, halo, stride)
    assert prod(grid.window) <= max(limit, prod(smallest.window))


def test_a_small_image_is_one_tile():
    tile = choose_tile((51, 120, 120), (12, 32, 32), (2, 4, 4), 10_000_000)
    assert len(plan_grid((51, 120, 120), tile, (12, 32, 32), (2, 4, 4)).tiles) == 1
