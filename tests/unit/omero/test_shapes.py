"""Shapes that people draw become pixels; ROIs get numbers."""

from __future__ import annotations

from math import cos, radians, sin

import numpy as np
import pytest
from noyau.domain.errors import InvalidInput
from noyau.omero.outlines import object_outlines
from noyau.omero.shapes import Patch, Transform, ellipse_patch, point_patch, polygon_patch, rectangle_patch
from noyau.omero.truth import number_rois

SAME = Transform()


def drawn(patch: Patch | None, height: int = 20, width: int = 30) -> np.ndarray:
    plane = np.zeros((height, width), bool)
    if patch is not None:
        rows, columns = patch.pixels.shape
        plane[patch.y : patch.y + rows, patch.x : patch.x + columns] = patch.pixels
    return plane


def test_a_rectangle_covers_the_pixels_whose_centre_it_holds() -> None:
    plane = drawn(rectangle_patch(3.0, 2.0, 4.0, 5.0, SAME, 20, 30))
    assert plane[2:7, 3:7].all()
    assert plane.sum() == 20
    assert drawn(rectangle_patch(3.6, 2.0, 1.0, 1.0, SAME, 20, 30))[2].nonzero()[0].tolist() == [4]


def test_an_ellipse_is_a_disk_when_round() -> None:
    plane = drawn(ellipse_patch(10.5, 8.5, 4.0, 4.0, SAME, 20, 30))
    rows, columns = np.mgrid[0:20, 0:30]
    assert (plane == ((rows - 8) ** 2 + (columns - 10) ** 2 <= 16)).all()


def test_a_turned_rectangle_is_where_it_was_turned_to() -> None:
    angle = radians(90)
    # A quarter turn about (10, 10): the wide rectangle stands upright afterwards.
    turn = Transform(cos(angle), sin(angle), -sin(angle), cos(angle), 20.0, 0.0)
    plane = drawn(rectangle_patch(6.0, 9.0, 8.0, 2.0, turn, 20, 30))
    assert plane[6:14, 9:11].all()
    assert plane.sum() == 16


def test_a_polygon_comes_back_exactly() -> None:
    labels = np.zeros((1, 20, 30), np.uint32)
    labels[0, 4:9, 6:15] = 1
    labels[0, 0:5, 9:11] = 1
    (outline,) = object_outlines(labels, 1, (0, 0, 0), 0)
    assert (drawn(polygon_patch(outline.text, SAME, 20, 30)) == (labels[0] == 1)).all()


@pytest.mark.parametrize("text", ["", "1,2", "1,2 3,4", "100,100 110,100 110,110"])
def test_a_polygon_without_area_in_the_image_is_nothing(text: str) -> None:
    assert polygon_patch(text, SAME, 20, 30) is None


def test_a_point_is_the_pixel_it_lies_in() -> None:
    assert np.argwhere(drawn(point_patch(7.9, 3.1, SAME, 20, 30))).tolist() == [[3, 7]]
    assert point_patch(30.0, 3.0, SAME, 20, 30) is None


def test_shapes_outside_are_nothing_and_flat_ones_are_refused() -> None:
    assert rectangle_patch(50.0, 2.0, 4.0, 5.0, SAME, 20, 30) is None
    assert ellipse_patch(5.0, 5.0, 0.0, 3.0, SAME, 20, 30) is None
    with pytest.raises(InvalidInput, match="flattens"):
        rectangle_patch(1.0, 2.0, 4.0, 5.0, Transform(a00=1, a10=1, a01=1, a11=1), 20, 30)


def test_our_rois_keep_their_numbers_and_others_follow() -> None:
    rois = [(11, "nucleus 5"), (12, None), (13, "nucleus 2"), (14, "nucleus 5"), (15, "my cell"), (16, "nucleus 0")]
    assert number_rois(rois) == {11: 5, 12: 6, 13: 2, 14: 7, 15: 8, 16: 9}
    assert number_rois([(3, "a"), (4, "b")]) == {3: 1, 4: 2}
