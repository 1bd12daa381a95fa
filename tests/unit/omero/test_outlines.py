"""Polygons: exact without tolerance, and never farther off than stated."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from noyau.omero.outlines import Outline, centre_of, object_outlines
from scipy.spatial.distance import cdist
from skimage.draw import disk, polygon

TRIANGLE_TURNS = 3


def filled(outlines: tuple[Outline, ...], shape: tuple[int, int, int]) -> np.ndarray:
    """Pixels whose centre lies inside an outline."""
    result = np.zeros(shape, bool)
    for outline in outlines:
        rows, columns = polygon(outline.points[:, 1] - 0.5, outline.points[:, 0] - 0.5, shape[1:])
        result[outline.z, rows, columns] = True
    return result


def blob() -> np.ndarray:
    labels = np.zeros((3, 40, 50), np.uint32)
    labels[(1, *disk((14, 20), 9))] = 3
    labels[(2, *disk((16, 22), 6))] = 3
    labels[1, 30:33, 40:47] = 3  # a second part in the same plane
    labels[0, 0, 0:4] = 3  # along the border
    labels[1, 13:16, 3:5] = 8  # another object
    return labels


def test_without_tolerance_filling_gives_the_pixels_back() -> None:
    labels = blob()
    outlines = object_outlines(labels, 3, (0, 0, 0), 0)
    assert len(outlines) == 4
    assert (filled(outlines, labels.shape) == (labels == 3)).all()


def test_the_origin_of_the_crop_is_added() -> None:
    labels = blob()
    crop = labels[1:3, 2:38, 3:49]
    whole = object_outlines(labels[1:3], 3, (1, 0, 0))
    assert [o.text for o in object_outlines(crop, 3, (1, 2, 3))] == [o.text for o in whole]


@pytest.mark.parametrize("tolerance", [0.5, 1.0, 2.0])
def test_a_simplified_outline_is_within_its_tolerance(tolerance: float) -> None:
    labels = np.zeros((1, 80, 80), np.uint32)
    labels[(0, *disk((40, 40), 31))] = 1
    (exact,) = object_outlines(labels, 1, (0, 0, 0), 0)
    (simple,) = object_outlines(labels, 1, (0, 0, 0), tolerance)
    assert len(simple.points) < len(exact.points) / TRIANGLE_TURNS
    ring = np.vstack([simple.points, simple.points[:1]])
    dense = np.concatenate([np.linspace(a, b, 200) for a, b in pairwise(ring)])
    assert cdist(exact.points, dense).min(axis=1).max() <= tolerance + 0.02


def test_holes_are_filled() -> None:
    labels = np.ones((1, 7, 7), np.uint32)
    labels[0, 3, 3] = 0
    (outline,) = object_outlines(labels, 1, (0, 0, 0), 0)
    assert filled((outline,), labels.shape).all()


def test_the_smallest_object_has_an_outline() -> None:
    labels = np.zeros((1, 3, 3), np.uint32)
    labels[0, 1, 1] = 1
    (outline,) = object_outlines(labels, 1, (0, 0, 0), 2.0)
    assert filled((outline,), labels.shape).sum() == 1
    assert outline.text.count(",") == len(outline.points) >= TRIANGLE_TURNS


def test_the_centre_lies_in_the_object_even_where_the_centroid_does_not() -> None:
    labels = np.zeros((3, 20, 20), np.uint32)
    labels[(1, *disk((10, 10), 8))] = 4
    labels[(1, *disk((10, 10), 6))] = 0
    z, x, y = centre_of(labels, 4, (5, 100, 200))
    assert z == 6
    assert labels[1, int(y) - 100, int(x) - 200] == 4
