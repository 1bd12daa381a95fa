from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from noyau.assembly.objects import Objects, merge, summarise
from noyau.domain.geometry import Box


def random_labels(seed: int, shape=(5, 9, 11)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    names = np.concatenate([np.zeros(4, np.int64), rng.integers(1, 2**40, 6)])
    return np.repeat(rng.choice(names, (shape[0], shape[1], -(-shape[2] // 3))), 3, axis=2)[:, :, : shape[2]]


def slow_summary(labels: np.ndarray) -> dict[int, tuple[int, Box]]:
    found = {}
    for name in np.unique(labels[labels > 0]).tolist():
        where = np.argwhere(labels == name)
        found[name] = (len(where), Box(tuple(where.min(0).tolist()), tuple((where.max(0) + 1).tolist())))
    return found


def as_dict(objects: Objects) -> dict[int, tuple[int, Box]]:
    return {int(objects.identity[i]): (int(objects.voxels[i]), objects.box(i)) for i in range(len(objects))}


@given(seed=st.integers(0, 10**6))
def test_counts_and_boxes_are_those_of_the_voxels(seed):
    labels = random_labels(seed)
    objects = summarise(labels, (0, 0, 0))
    assert as_dict(objects) == slow_summary(labels)
    assert (np.diff(objects.identity) > 0).all()


@given(seed=st.integers(0, 10**6), cut=st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(0, 11)))
def test_merged_blocks_are_the_whole_in_any_order(seed, cut):
    labels = random_labels(seed)
    parts = []
    for z in ((0, cut[0]), (cut[0], 5)):
        for y in ((0, cut[1]), (cut[1], 9)):
            for x in ((0, cut[2]), (cut[2], 11)):
                block = labels[z[0] : z[1], y[0] : y[1], x[0] : x[1]]
                parts.append(summarise(block, (z[0], y[0], x[0])))
    order = np.random.default_rng(seed).permutation(len(parts))
    assert as_dict(merge(parts[i] for i in order)) == slow_summary(labels)


def test_empty_blocks_and_blocks_without_objects_add_nothing():
    objects = summarise(random_labels(1), (10, 20, 30))
    empty = summarise(np.zeros((0, 2, 2), np.int64), (0, 0, 0))
    background = summarise(np.zeros((2, 2, 2), np.int64), (0, 0, 0))
    assert len(empty) == len(background) == len(merge([])) == 0
    assert as_dict(merge([empty, objects, background])) == as_dict(objects)
