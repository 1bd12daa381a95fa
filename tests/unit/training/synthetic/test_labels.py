"""Labels: who owns a voxel, one piece per label, nothing tiny."""

from __future__ import annotations

import numpy as np
from noyau.domain.geometry import VoxelSize
from noyau.training.synthetic.labels import largest_pieces, rasterise, too_small, touching_fraction, without
from noyau.training.synthetic.shapes import WAVES, Nucleus

VOXEL = VoxelSize(1.0, 1.0, 1.0)


def ball(z: float, y: float, x: float, radius: float) -> Nucleus:
    return Nucleus(np.array([z, y, x]), np.full(3, radius), np.eye(3), np.zeros((WAVES, 5)))


def test_overlapping_nuclei_meet_in_the_middle() -> None:
    labels = rasterise([ball(8, 8, 7, 5), ball(8, 8, 13, 5)], (16, 16, 20), VOXEL).labels
    assert set(labels[8, 8, 2:10]) == {1}
    assert set(labels[8, 8, 10:18]) == {2}
    assert touching_fraction(labels) == 1.0


def test_a_margin_is_added_on_every_side() -> None:
    labels = rasterise([ball(8, 10, 10, 4)], (16, 20, 20), VOXEL, (2.0, 1.0, 0.0)).labels
    assert [int(n) for n in np.ptp(np.argwhere(labels), axis=0) + 1] == [12, 10, 8]


def test_order_of_nuclei_does_not_matter_to_the_outlines() -> None:
    nuclei = [ball(8, 8, 7.2, 5), ball(8, 9, 13, 4), ball(5, 4, 9, 3)]
    first = rasterise(nuclei, (16, 16, 20), VOXEL).labels
    second = rasterise(nuclei[::-1], (16, 16, 20), VOXEL).labels
    np.testing.assert_array_equal(first, np.where(second > 0, 4 - second, 0))


def test_second_level_is_that_of_the_neighbour() -> None:
    raster = rasterise([ball(8, 8, 7, 5), ball(8, 8, 13, 5)], (16, 16, 20), VOXEL)
    seam = raster.second[8, 8, 9] - raster.level[8, 8, 9]
    assert 0 < seam < 0.3
    assert raster.second[8, 8, 3] - raster.level[8, 8, 3] > 0.3


def test_only_the_largest_piece_of_a_label_stays() -> None:
    labels = np.zeros((1, 6, 12), np.int32)
    labels[0, 1:4, 1:4] = 3
    labels[0, 1, 6:8] = 3
    labels[0, 4, 6:9] = 5
    kept = largest_pieces(labels, 26)
    assert (kept[0, 1, 6:8] == 0).all()
    assert (kept == 3).sum() == 9
    assert (kept == 5).sum() == 3


def test_of_two_equal_pieces_one_stays() -> None:
    labels = np.zeros((1, 1, 9), np.int32)
    labels[0, 0, [1, 2, 6, 7]] = 1
    assert (largest_pieces(labels, 6) > 0).sum() == 2


def test_no_labels_no_pieces() -> None:
    assert not largest_pieces(np.zeros((2, 3, 4), np.int32), 26).any()


def test_small_is_relative_to_the_nucleus() -> None:
    labels = np.zeros((10, 10, 10), np.int32)
    labels[0, 0, :8] = 1
    labels[1, :3, :10] = 2
    labels[3:6, :5, :5] = 3
    nuclei = [ball(0, 0, 0, 1.5), ball(0, 0, 0, 7), ball(0, 0, 0, 3)]
    assert too_small(labels, nuclei, VOXEL, least=16).tolist() == [1, 2]
    assert np.unique(without(labels, np.array([1, 2]), 3)).tolist() == [0, 3]


def test_touching_counts_objects_with_a_common_face() -> None:
    labels = np.zeros((1, 5, 10), np.int32)
    labels[0, :, 0:2], labels[0, :, 2:4], labels[0, :, 5:7] = 1, 2, 3
    labels[0, 0, 9] = 4
    assert touching_fraction(labels) == 0.5
    assert touching_fraction(np.zeros((1, 4, 4), np.int32)) == 0.0
