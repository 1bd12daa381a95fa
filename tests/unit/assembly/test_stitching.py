"""Windows that label the same voxels agree on what is one object; names are unique and numbers canonical."""

import numpy as np
import pytest
from noyau.assembly.numbering import apply_numbering, number_objects
from noyau.assembly.objects import merge, summarise
from noyau.assembly.stitching import agreements, join, joined_objects, provisional_names, spread_numbers
from noyau.domain.geometry import Box

SHAPE = (4, 6, 20)


def boxes(*spans: tuple[int, int]) -> np.ndarray:
    """Labels of SHAPE with one object per span of x."""
    labels = np.zeros(SHAPE, np.int32)
    for label, (start, stop) in enumerate(spans, start=1):
        labels[1:3, 2:4, start:stop] = label
    return labels


def test_names_are_unique_over_windows_and_in_raster_order():
    labels = boxes((1, 4), (6, 9))
    box = Box((0, 0, 0), SHAPE)
    one, two = (provisional_names(labels, box, SHAPE, window, 2) for window in (0, 1))
    assert not set(np.unique(one[one > 0])) & set(np.unique(two[two > 0]))
    first = 1 + np.ravel_multi_index((1, 2, 1), SHAPE) * 2
    assert one[1, 2, 1] == first and two[1, 2, 1] == first + 1
    assert one[1, 2, 1] < one[1, 2, 6] and not one[0].any()


def test_a_name_does_not_depend_on_where_its_window_begins():
    labels = boxes((6, 9))
    whole = provisional_names(labels, Box((0, 0, 0), SHAPE), SHAPE, 0, 1)
    part = provisional_names(labels[:, 1:, 5:], Box((0, 1, 5), SHAPE), SHAPE, 0, 1)
    np.testing.assert_array_equal(part, whole[:, 1:, 5:])


def test_an_empty_window_has_no_names():
    empty = np.zeros(SHAPE, np.int32)
    assert not provisional_names(empty, Box((0, 0, 0), SHAPE), SHAPE, 0, 1).any()
    assert len(agreements(empty, boxes((1, 4)))) == 0


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ((2, 12), [(1, 7)]),  # all of it
        ((2, 8), [(1, 7)]),  # 6 of 10
        ((2, 7), []),  # exactly half is not more than half
        ((13, 18), []),
    ],
)
def test_more_than_half_of_the_union_is_one_object(other, expected):
    mine, theirs = boxes((2, 12)).astype(np.int64), 7 * boxes(other).astype(np.int64)
    assert [tuple(pair) for pair in agreements(mine, theirs)] == expected


def test_one_object_of_a_window_is_never_two_of_its_neighbour():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 4, (2, 20, 20, 20))
    other[:10] = one[:10]
    pairs = agreements(one, other)
    assert len(np.unique(pairs[:, 0])) == len(pairs) == len(np.unique(pairs[:, 1]))


def test_chains_become_one_object_whatever_their_order():
    chain = [np.array([[8, 3]]), np.array([[20, 8]]), np.array([[5, 6]]), np.array([[20, 31]])]
    for order in (chain, chain[::-1]):
        joins = join(order)
        assert joins.apply(np.array([3, 8, 20, 31, 5, 6, 99])).tolist() == [3, 3, 3, 3, 5, 5, 99]
    assert join([]).apply(np.array([4])).tolist() == [4]


def test_two_windows_become_the_labels_of_the_whole():
    truth = boxes((1, 4), (7, 13), (15, 19))
    cores = [Box((0, 0, 0), (4, 6, 10)), Box((0, 0, 10), SHAPE)]
    windows = [core.grown((0, 0, 6)).clipped(SHAPE) for core in cores]
    # Each window names its objects for itself, here backwards.
    names = [
        provisional_names(np.where(truth[w.slices] > 0, 9 - truth[w.slices], 0), w, SHAPE, i, 2)
        for i, w in enumerate(windows)
    ]
    common = windows[0].intersection(windows[1])
    joins = join([agreements(*(n[common.relative_to(w.start).slices] for n, w in zip(names, windows, strict=True)))])
    parts = [n[c.relative_to(w.start).slices] for n, c, w in zip(names, cores, windows, strict=True)]
    pieces = merge([summarise(p, c.start) for p, c in zip(parts, cores, strict=True)])
    objects = joined_objects(pieces, joins)
    assert len(pieces) == 4 and objects.voxels.tolist() == [12, 24, 16]
    assert objects.box(1) == Box((1, 2, 7), (3, 4, 13))
    numbering = spread_numbers(number_objects(objects, 13), pieces, joins)
    result = np.concatenate([apply_numbering(part, numbering) for part in parts], axis=2)
    expected = np.where(truth == 1, 0, np.maximum(truth - 1, 0))  # the first is smaller than 13 voxels
    np.testing.assert_array_equal(result, expected)
