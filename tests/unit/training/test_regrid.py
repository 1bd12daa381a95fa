"""Pairs on the grid of a model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from noyau.domain.model import Normalisation
from noyau.training.dataset import Pair
from noyau.training.regrid import factors_between, fit_pair, regrid
from noyau.training.targets import find_objects


def gradient_pair() -> Pair:
    """A linear gradient (so that linear interpolation is exact) with two boxes, 8 x 20 x 20."""
    z, y, x = np.indices((8, 20, 20))
    labels = np.zeros((8, 20, 20), np.uint16)
    labels[2:6, 4:10, 4:10], labels[2:6, 12:18, 10:18] = 1, 2
    return Pair("a/b", (10.0 * z + y + 2.0 * x), labels, 0.0, 1.0, find_objects(labels), voxel_size=(2.0, 1.0, 1.0))


def test_images_are_interpolated_and_labels_are_not() -> None:
    pair = gradient_pair()
    fine = regrid(pair, (2.0, 2.0, 1.0))
    assert fine.image.shape == fine.labels.shape == (16, 40, 20)
    z, y, x = ((np.arange(n) + 0.5) * m / n - 0.5 for n, m in zip((16, 40, 20), (8, 20, 20), strict=True))
    expected = 10 * z[:, None, None] + y[:, None] + 2 * x
    np.testing.assert_allclose(fine.image[1:-1, 1:-1], expected[1:-1, 1:-1], rtol=1e-5)
    assert set(np.unique(fine.labels)) == {0, 1, 2} and (fine.labels > 0).sum() == 4 * (pair.labels > 0).sum()
    np.testing.assert_allclose(fine.objects.centres, (pair.objects.centres + 0.5) * (2, 2, 1) - 0.5, atol=0.6)


def test_coarser_images_are_means_over_voxels() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (1, 64, 64))
    labels = np.ones((1, 64, 64), np.uint16)
    pair = Pair("a/b", noise[0], labels[0], 0.0, 1.0, find_objects(labels[0]))
    coarse = regrid(pair, (0.25, 0.25))
    assert coarse.image.shape == (16, 16) and coarse.image.std() < 0.35


def test_pairs_near_the_grid_stay_as_they_are() -> None:
    pair = gradient_pair()
    assert regrid(pair, factors_between((2.0, 1.0, 1.0), (1.8, 1.1, 1.0), 3)) is pair
    assert factors_between((2.0, 1.0, 1.0), (1.0, 0.5, 1.0), 3) == (2.0, 2.0, 1.0)
    assert factors_between((2.0, 1.0, 1.0), (9.0, 0.5, 1.0), 2) == (2.0, 1.0)
    assert factors_between(None, (1.0, 1.0, 1.0), 3) == factors_between((1.0, 1.0, 1.0), None, 3) == (1.0, 1.0, 1.0)


def test_fitting_twice_is_fitting_once() -> None:
    params = Normalisation(low=10.0, high=90.0)
    once = fit_pair(gradient_pair(), (1.0, 1.0, 1.0), params)
    twice = fit_pair(once, (1.0, 1.0, 1.0), params)
    assert once.voxel_size == (1.0, 1.0, 1.0) and once.image.shape == (16, 20, 20)
    assert np.array_equal(once.image, twice.image)
    # The percentiles are those of the pixels as they were read.
    assert once.low == pytest.approx(np.percentile(gradient_pair().image, 10.0))


def test_fragments_are_counted_in_voxels_of_the_model() -> None:
    pair = gradient_pair()
    small = int((pair.labels == 1).sum())
    assert fit_pair(pair, None, Normalisation(), fragment=small + 1).objects.counted.tolist() == [False, True]
    assert fit_pair(pair, (1.0, 1.0, 1.0), Normalisation(), fragment=small + 1).objects.counted.tolist() == [True, True]


def test_points_keep_their_exact_places() -> None:
    pair = replace(gradient_pair(), kind="points", known=np.ones((8, 20, 20), bool))
    moved = regrid(pair, (1.0, 0.5, 0.5))
    np.testing.assert_allclose(moved.objects.centres, (pair.objects.centres + 0.5) * (1, 0.5, 0.5) - 0.5)
    assert moved.known is not None and moved.known.shape == (8, 10, 10)
    np.testing.assert_allclose(moved.objects.radii, pair.objects.radii * 0.25 ** (1 / 3))
