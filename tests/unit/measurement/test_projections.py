"""Projections do not depend on how the volume arrives, and stay small."""

from __future__ import annotations

import numpy as np
import pytest
from noyau.domain.geometry import Box, VoxelSize
from noyau.measurement.boxes import blocks
from noyau.measurement.projections import ProjectionAccumulator

SIZE = VoxelSize(2.0, 0.5, 0.25)


def volume(shape: tuple[int, int, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random(shape) < 0.2, rng.integers(1, 9, shape), 0).astype(np.uint32)
    return rng.normal(50, 20, shape).astype(np.float32), labels


def test_three_views_of_a_volume() -> None:
    image, labels = volume((6, 9, 11))
    accumulator = ProjectionAccumulator(image.shape, SIZE)
    accumulator.add(Box.of(image.shape), image, labels)
    views = accumulator.views()
    assert [v.pixel_um for v in views] == [(0.5, 0.25), (2.0, 0.25), (2.0, 0.5)]
    for axis, view in enumerate(views):
        np.testing.assert_array_equal(view.image, image.max(axis=axis))
        first = np.apply_along_axis(lambda line: next((v for v in line if v), 0), axis, labels)
        np.testing.assert_array_equal(view.labels, first)


@pytest.mark.parametrize("max_side", [1024, 13, 5])
@pytest.mark.parametrize("unit", [(2, 4, 3), (6, 5, 40), (1, 1, 1)])
def test_order_and_size_of_blocks_do_not_matter(unit: tuple[int, int, int], max_side: int) -> None:
    image, labels = volume((6, 19, 23))
    whole, pieces = (ProjectionAccumulator(image.shape, SIZE, max_side) for _ in range(2))
    whole.add(Box.of(image.shape), image, labels)
    boxes = list(blocks(image.shape, unit))
    for k in np.random.default_rng(1).permutation(len(boxes)):
        pieces.add(boxes[k], image[boxes[k].slices], labels[boxes[k].slices])
    for one, other in zip(whole.views(), pieces.views(), strict=True):
        assert max(one.image.shape) <= max_side
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.labels, other.labels)


def test_a_pixel_of_a_large_image_holds_the_maximum_behind_it() -> None:
    image, labels = volume((1, 20, 30))
    accumulator = ProjectionAccumulator(image.shape, SIZE, max_side=10)
    accumulator.add(Box.of(image.shape), image, labels)
    (view,) = accumulator.views()
    assert accumulator.stride == (1, 3, 3)
    assert view.pixel_um == (1.5, 0.75)
    assert view.image[2, 4] == image[0, 6:9, 12:15].max()
    assert view.labels[2, 4] == labels[0, 6, 12]


def test_what_was_not_added_is_unknown() -> None:
    accumulator = ProjectionAccumulator((2, 4, 4), SIZE)
    accumulator.add(Box((0, 0, 0), (2, 2, 4)), np.ones((2, 2, 4)), np.ones((2, 2, 4), np.uint32))
    view = accumulator.views()[0]
    assert np.isnan(view.image[2:]).all() and (view.labels[2:] == 0).all()
