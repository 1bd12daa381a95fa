"""Points and boxes become guessed shapes of which only the certain part is known."""

from __future__ import annotations

import numpy as np
import pytest
from noyau.training.weak_labels import estimate_radius, from_boxes, from_points


def test_a_point_knows_its_core_and_nothing_of_its_rim() -> None:
    weak = from_points(np.array([[20.0, 20.0]]), (41, 41), (8.0, 8.0), complete=False)
    rows, columns = np.indices((41, 41))
    distance = np.hypot(rows - 20, columns - 20)
    assert (weak.labels == 1)[distance <= 8].all() and not weak.labels[distance > 8].any()
    assert weak.known[distance <= 4].all() and not weak.known[distance > 5].any()
    assert weak.objects.centres.tolist() == [[20.0, 20.0]] and weak.objects.radii == pytest.approx([8.0])


def test_complete_points_make_background_of_what_is_far() -> None:
    weak = from_points(np.array([[20.0, 20.0]]), (41, 41), (8.0, 8.0), complete=True)
    distance = np.hypot(*(np.indices((41, 41)) - 20))
    assert weak.known[distance > 14].all() and not weak.known[(distance > 5) & (distance < 13)].any()
    assert not weak.labels[weak.known & (distance > 10)].any()


def test_touching_points_share_the_space_and_where_their_cores_meet_is_unknown() -> None:
    weak = from_points(np.array([[10.0, 8.0], [10.0, 13.0]]), (21, 22), (6.0, 6.0), complete=False)
    assert weak.labels[10, 8] == 1 and weak.labels[10, 13] == 2
    assert weak.known[10, 7] and weak.known[10, 14] and not weak.known[10, 10:12].any()


def test_a_box_knows_its_core_and_what_is_outside_of_all_boxes() -> None:
    weak = from_boxes(np.array([[4, 6, 16, 22], [20, 20, 28, 28]]), (32, 32))
    assert weak.objects.centres.tolist() == [[9.5, 13.5], [23.5, 23.5]]
    assert weak.labels[9, 13] == 1 and weak.known[9, 13] and not weak.labels[4, 6]
    assert not weak.known[4:16, 6:22][weak.labels[4:16, 6:22] == 0].any()
    assert not weak.known[3, 6:22].any() and weak.known[2, 6:22].all()
    assert weak.known[0, 31] and weak.labels[0, 31] == 0


def test_anisotropic_voxels_give_flat_balls() -> None:
    weak = from_points(np.array([[10.0, 20.0, 20.0]]), (21, 41, 41), (4.0, 8.0, 8.0), complete=False)
    extent = [np.ptp(np.flatnonzero((weak.labels == 1).any(axis=others))) + 1 for others in ((1, 2), (0, 2), (0, 1))]
    assert extent == [9, 17, 17]


def test_points_at_the_border_and_points_that_hide_each_other_do_no_harm() -> None:
    weak = from_points(np.array([[0.0, 0.0], [31.0, 31.0], [31.2, 31.0]]), (32, 32), (5.0, 5.0), complete=True)
    assert {1, 2} <= set(np.unique(weak.labels)) and len(weak.objects.ids) == 3


@pytest.mark.parametrize("radius", [4.0, 7.0, 11.0])
def test_the_radius_is_read_off_the_image(radius: float) -> None:
    rows, columns = np.indices((120, 120))
    points = np.array([[30.0, 30.0], [30.0, 85.0], [85.0, 40.0]])
    inside = np.logical_or.reduce([np.hypot(rows - y, columns - x) <= radius for y, x in points])
    image = np.random.default_rng(0).poisson(50 + 200 * inside)
    assert estimate_radius(image, points, (1.0, 1.0)) == pytest.approx(radius, abs=1.0)


def test_without_contrast_the_radius_is_half_the_distance_between_neighbours() -> None:
    flat = np.full((50, 50), 7)
    assert estimate_radius(flat, np.array([[10.0, 10.0], [10.0, 22.0]]), (1.0, 1.0)) == pytest.approx(6.0)
