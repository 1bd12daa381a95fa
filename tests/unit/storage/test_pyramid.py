"""Pyramids: steps, means, first voxels, and levels that are filled box by box."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from noyau.domain.geometry import Index3
from noyau.storage.arrays import create_array, open_array
from noyau.storage.pyramid import boxes, coarser, fill_level, plan_steps, reduce_first, reduce_mean
from noyau.storage.store import Store


@pytest.mark.parametrize(
    ("shape", "spacing", "want"),
    [
        ((10, 100, 100), (1, 1, 1), []),
        ((10, 600, 300), (2, 0.5, 0.5), [(1, 2, 2), (1, 2, 2)]),
        ((100, 600, 600), (1, 1, 1), [(2, 2, 2), (2, 2, 2)]),
        ((100, 600, 600), (4, 1, 1), [(1, 2, 2), (1, 2, 2)]),
        ((100, 1200, 1200), (2, 1, 1), [(1, 2, 2), (2, 2, 2), (2, 2, 2)]),
        ((1, 300, 1), (1, 1, 1), [(1, 2, 1)]),
    ],
)
def test_steps(shape: Index3, spacing: tuple[float, ...], want: list[Index3]) -> None:
    assert plan_steps(shape, spacing) == want


def test_every_pyramid_ends() -> None:
    assert len(plan_steps((1, 10**9, 10**9), (1, 1, 1))) <= 10


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "u4", "f4"])
@given(shape=st.tuples(*[st.integers(1, 7)] * 3), step=st.tuples(*[st.integers(1, 3)] * 3), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_means_are_those_of_the_blocks(dtype: str, shape: Index3, step: Index3, seed: int) -> None:
    block = np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)
    got = reduce_mean(block, step)
    assert got.shape == coarser(shape, step) and got.dtype == block.dtype
    index = [[min(i, n - 1) for i in range(-(-n // f) * f)] for n, f in zip(shape, step, strict=True)]
    full = block[np.ix_(*index)].astype(float)
    z, y, x = got.shape
    want = full.reshape(z, step[0], y, step[1], x, step[2]).mean((1, 3, 5))
    np.testing.assert_allclose(got, want, atol=0.5 if dtype != "f4" else 1e-3)


def test_the_mean_of_large_values_does_not_overflow() -> None:
    assert reduce_mean(np.full((2, 2, 2), 65535, np.uint16), (2, 2, 2)).item() == 65535
    assert reduce_mean(np.full((2, 2, 2), 2**32 - 1, np.uint32), (2, 2, 2)).item() == 2**32 - 1


def test_bool_goes_with_the_majority() -> None:
    block = np.array([[[True, True], [True, False]]])
    assert reduce_mean(block, (1, 2, 2)).tolist() == [[[True]]]
    assert reduce_mean(~block, (1, 2, 2)).tolist() == [[[False]]]


@pytest.mark.parametrize("axes", ["zyx", "yx", "tzyx", "xyz", "yxc"])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_level_filled_box_by_box_equals_the_whole(tmp_path: object, axes: str, zarr_format: int) -> None:
    store, sizes = Store(str(tmp_path)), {"t": 2, "c": 2, "z": 5, "y": 11, "x": 13}
    volume = (sizes["z"] if "z" in axes else 1, 11, 13)
    step = (2, 2, 3)
    coarse = dict(zip("zyx", coarser(volume, step), strict=True))
    fine_shape = [sizes[a] for a in axes]
    coarse_shape = [coarse.get(a, sizes[a]) for a in axes]
    pixels = np.random.default_rng(0).integers(0, 99, fine_shape).astype(np.uint16)
    fine, small = (
        create_array(store, name, zarr_format=zarr_format, shape=shape, dtype=np.dtype("u2"), chunk=[1] * len(axes))
        for name, shape in (("0", fine_shape), ("1", coarse_shape))
    )
    fine.write(pixels).result()
    fill_level(fine, small, axes, step, reduce_first, unit=(2, 3, 2), what="a")
    steps = dict(zip("zyx", step, strict=True))
    want = pixels[tuple(slice(None, None, steps.get(a, 1)) for a in axes)]
    np.testing.assert_array_equal(open_array(store, "1").read().result(), want)


def test_boxes_partition() -> None:
    count = np.zeros((5, 7, 9), int)
    for box in boxes((5, 7, 9), (2, 3, 4)):
        count[box.slices] += 1
    assert (count == 1).all()
