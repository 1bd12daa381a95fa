"""Outside the image is its reflection, as numpy.pad defines it."""

from __future__ import annotations

import numpy as np
import pytest
from noyau.domain.geometry import Box
from noyau.planning.reflect import read_reflected, reflect_indices


@pytest.mark.parametrize("size", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("pad", [0, 1, 5, 33])
def test_indices_match_numpy_pad(size, pad):
    expected = np.pad(np.arange(size), pad, mode="reflect") if size > 1 else np.zeros(size + 2 * pad)
    np.testing.assert_array_equal(reflect_indices(-pad, size + pad, size), expected)


@pytest.mark.parametrize("box", [((-3, -9, 4), (9, 3, 12)), ((0, 0, 0), (5, 6, 7)), ((4, 5, 6), (30, 31, 32))])
def test_a_box_matches_the_padded_image(box):
    image = np.random.default_rng(0).integers(0, 999, (5, 6, 7))
    padded = np.pad(image, 40, mode="reflect")
    wanted = Box(*box)
    read = []

    def reader(part):
        assert Box.of(image.shape).contains(part)
        read.append(part)
        return image[part.slices]

    got = read_reflected(reader, wanted, image.shape)
    np.testing.assert_array_equal(got, padded[wanted.shifted((40, 40, 40)).slices])
    assert len(read) == 1
