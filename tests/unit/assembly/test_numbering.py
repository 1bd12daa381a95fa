from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from noyau.assembly.numbering import apply_numbering, number_objects, select
from noyau.assembly.objects import merge, summarise
from noyau.domain.errors import DamagedData, LimitExceeded

names = st.lists(st.integers(1, 2**50), min_size=1, max_size=6, unique=True)


@given(names=names, seed=st.integers(0, 10**6), least=st.integers(0, 30))
def test_numbers_follow_the_centres_and_small_objects_disappear(names, seed, least):
    labels = np.random.default_rng(seed).choice(np.array([0, *names], np.int64), (4, 6, 7))
    halves = [summarise(labels[:, :3], (0, 0, 0)), summarise(labels[:, 3:], (0, 3, 0))]
    objects = merge(reversed(halves))
    numbering = number_objects(objects, least)

    ids, counts = np.unique(labels[labels > 0], return_counts=True)
    kept = ids[counts >= least]
    expected = np.where(np.isin(labels, kept), np.searchsorted(kept, labels) + 1, 0)
    final = apply_numbering(labels, numbering)
    assert final.dtype == np.uint32
    assert numbering.count == len(kept)
    np.testing.assert_array_equal(final, expected)

    again = summarise(final, (0, 0, 0))
    chosen = select(objects, numbering)
    for column in ("identity", "voxels", "start", "stop"):
        np.testing.assert_array_equal(getattr(chosen, column), getattr(again, column))


def test_blocks_without_objects_and_without_voxels():
    nothing = number_objects(merge([]))
    assert nothing.count == 0
    assert not apply_numbering(np.zeros((2, 3, 4), np.int64), nothing).any()
    assert apply_numbering(np.zeros((0, 3, 4), np.int64), nothing).shape == (0, 3, 4)


def test_strided_blocks_are_numbered_in_place():
    labels = np.zeros((2, 4, 4), np.int64)
    labels[:, ::2, 1] = 12
    labels[:, 1, 2] = 5
    numbering = number_objects(summarise(labels, (0, 0, 0)))
    view = labels[:, 1:, 1:3]
    np.testing.assert_array_equal(apply_numbering(view, numbering), (view == 5) + 2 * (view == 12))


def test_an_unknown_label_is_an_error_not_a_hole():
    labels = np.full((1, 2, 2), 9, np.int64)
    numbering = number_objects(summarise(np.full((1, 2, 2), 8, np.int64), (0, 0, 0)))
    with pytest.raises(DamagedData, match="no unit recorded"):
        apply_numbering(labels, numbering)


def test_more_objects_than_labels_is_an_error():
    objects = summarise(np.arange(1, 9).reshape(2, 2, 2), (0, 0, 0))
    assert number_objects(objects, limit=8).count == 8
    with pytest.raises(LimitExceeded, match="8 objects, more than the 7"):
        number_objects(objects, limit=7)
    assert number_objects(objects, min_voxels=2, limit=7).count == 0


def test_uncertain_objects_are_dropped_exactly_at_the_threshold() -> None:
    labels = np.repeat(np.arange(1, 5), 10).reshape(1, 4, 10)
    foreground = np.repeat(np.array([255, 204, 203, 128], np.uint8), 10).reshape(1, 4, 10)
    objects = summarise(labels, (0, 0, 0), foreground)
    np.testing.assert_allclose(objects.certainty, [1.0, 0.8, 203 / 255, 128 / 255])
    assert number_objects(objects, 1, 0.8).number.tolist() == [1, 2, 0, 0]
    assert number_objects(objects).number.tolist() == [1, 2, 3, 4]
    halves = [summarise(labels[:, :, :3], (0, 0, 0), foreground[:, :, :3])]
    halves.append(summarise(labels[:, :, 3:], (0, 0, 3), foreground[:, :, 3:]))
    np.testing.assert_array_equal(merge(halves).probability, objects.probability)


def test_objects_without_probabilities_are_certain() -> None:
    objects = summarise(np.ones((2, 3, 4), np.int64), (0, 0, 0))
    assert number_objects(objects, 1, 1.0).number.tolist() == [1]
