"""Masks: the bits of OMERO, exact back and forth, also at the border of the image."""

from __future__ import annotations

import numpy as np
import pytest
from noyau.domain.errors import DamagedData
from noyau.omero.masks import object_masks, pack, paint, unpack, volume_masks


def repainted(labels: np.ndarray) -> np.ndarray:
    again = np.zeros_like(labels)
    for label, masks in volume_masks(labels):
        paint(again, masks, label)
    return again


def test_bits_run_from_the_most_significant_along_rows_without_padding() -> None:
    mask = np.array([[1, 0, 0], [0, 1, 1], [1, 1, 0]], bool)
    # 100 011 110 and seven zeros to fill the last byte
    assert pack(mask) == bytes([0b10001111, 0b00000000])
    assert (unpack(bytes([0b10001111, 0b00000000]), 3, 3) == mask).all()


def test_masks_give_the_labels_back() -> None:
    draw = np.random.default_rng(4)
    labels = draw.integers(0, 9, (5, 23, 31)).astype(np.uint32)
    assert (repainted(labels) == labels).all()


@pytest.mark.parametrize("place", [np.s_[0:2, 0, 3:9], np.s_[1, 4:7, 0], np.s_[:, 0, 0], np.s_[2, 10, 12]])
def test_an_object_in_the_first_or_last_row_or_column_is_not_lost(place: tuple) -> None:
    labels = np.zeros((3, 11, 13), np.uint16)
    labels[place] = 7
    assert [label for label, _ in volume_masks(labels)] == [7]
    assert (repainted(labels) == labels).all()


def test_each_plane_has_its_own_tight_rectangle() -> None:
    crop = np.zeros((4, 6, 6), np.uint32)
    crop[0, 1:3, 1:4] = 5
    crop[2, 4, 5] = 5
    crop[2, 0, 0] = 6
    first, second = object_masks(crop, 5, (10, 20, 30))
    assert (first.z, first.y, first.x, first.height, first.width) == (10, 21, 31, 2, 3)
    assert (second.z, second.y, second.x, second.height, second.width) == (12, 24, 35, 1, 1)
    assert second.data == bytes([0b10000000])


def test_a_plane_without_z_counts_as_one_plane() -> None:
    labels = np.array([[0, 2], [2, 2]], np.uint8)
    ((label, (mask,)),) = volume_masks(labels)
    assert (label, mask.z, mask.height, mask.width) == (2, 0, 2, 2)


def test_what_lies_outside_the_volume_is_cut_off() -> None:
    labels = np.zeros((1, 8, 8), np.uint32)
    labels[0, 2:6, 2:6] = 1
    ((_, masks),) = volume_masks(labels)
    small = np.zeros((1, 4, 4), np.uint32)
    paint(small, masks, 3)
    assert (small[0] == np.where(labels[0, :4, :4] > 0, 3, 0)).all()


def test_too_few_bits_are_damage() -> None:
    with pytest.raises(DamagedData, match="only 8 bits"):
        unpack(b"\xff", 3, 3)
