from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from noyau.decoding import vote
from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import Box, Index3
from noyau.domain.model import VoteParams

SMALL = VoteParams(
    seed_mass=6.0, nms=(1, 2, 2), smooth=(1, 1, 2), weights=(3, 1, 1), radius=4, max_offset=(3, 5, 5), min_voxels=4
)

extents = st.tuples(st.integers(1, 14), st.integers(1, 30), st.integers(1, 30))
params = st.builds(
    VoteParams,
    foreground=st.sampled_from([0.0, 0.5, 0.9]),
    seed_mass=st.sampled_from([0.0, 1.0, 6.0, 20.0]),
    nms=st.tuples(*[st.integers(0, 3)] * 3),
    smooth=st.tuples(*[st.integers(0, 2)] * 3),
    weights=st.tuples(*[st.integers(1, 6)] * 3),
    radius=st.integers(0, 6),
    rival_radius=st.integers(0, 6),
    rival_percent=st.sampled_from([0, 100, 400]),
    max_offset=st.tuples(*[st.integers(0, 6)] * 3),
)


def random_box(rng: np.random.Generator, shape: Index3) -> Box:
    start = [int(rng.integers(0, n)) for n in shape]
    stop = [int(rng.integers(a + 1, n + 1)) for a, n in zip(start, shape, strict=True)]
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


@given(shape=extents, seed=st.integers(0, 10**6), params=params)
@settings(max_examples=60, deadline=None)
def test_block_equals_whole(make_prediction, shape, seed, params):
    pred = make_prediction(seed, shape)
    whole = vote.decode(pred, (0, 0, 0), shape, params).labels
    core = random_box(np.random.default_rng(seed), shape)
    block = core.grown(vote.halo(params)).clipped(shape)
    part = pred[(slice(None), *block.slices)]

    by_halo = vote.decode(part, block.start, shape, params)
    by_core = vote.decode(part, block.start, shape, params, core=core)

    wanted = whole[core.slices]
    np.testing.assert_array_equal(by_halo.labels[core.relative_to(block.start).slices], wanted)
    np.testing.assert_array_equal(by_core.labels, wanted)
    assert by_core.box == core


@given(shape=extents, seed=st.integers(0, 10**6), params=params)
@settings(max_examples=40, deadline=None)
def test_known_centres_label_a_block_without_halo(make_prediction, shape, seed, params):
    pred = make_prediction(seed, shape)
    whole = vote.decode(pred, (0, 0, 0), shape, params)
    core = random_box(np.random.default_rng(seed), shape)
    near = whole.centres.within(core.grown(vote.centre_reach(params)))
    block = vote.assign(pred[(slice(None), *core.slices)], core.start, shape, params, near)
    np.testing.assert_array_equal(block.labels, whole.labels[core.slices])


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)), seed=st.integers(0, 10**6), params=params
)
@settings(max_examples=60, deadline=None)
def test_equals_its_definition(make_prediction, reference_decode, shape, seed, params):
    pred = make_prediction(seed, shape, nuclei=3)
    labels = vote.decode(pred, (0, 0, 0), shape, params).labels
    np.testing.assert_array_equal(labels, reference_decode(pred, params))


def test_signed_and_unsigned_predictions_are_one(make_prediction):
    pred = make_prediction(3, (6, 20, 20))
    a = vote.decode(pred, (0, 0, 0), (6, 20, 20), SMALL).labels
    b = vote.decode(pred.view(np.int8), (0, 0, 0), (6, 20, 20), SMALL).labels
    assert a.any()
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("shape", [(9, 24, 24), (1, 24, 24)])
def test_two_balls_are_two_nuclei_named_by_their_centres(shape):
    pred = np.zeros((4, *shape), np.uint8)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"))
    middles = [np.array([shape[0] // 2, 12, 6]), np.array([shape[0] // 2, 12, 17])]
    for middle in middles:
        offset = middle[:, None, None, None] - grid
        inside = (offset**2).sum(axis=0) <= 16
        pred[0, inside] = 255
        pred[1:, inside] = offset.astype(np.int8).view(np.uint8)[:, inside]
    labels = vote.decode(pred, (0, 0, 0), shape, SMALL).labels
    assert set(np.unique(labels)) == {0, *(1 + int(np.ravel_multi_index(tuple(m), shape)) for m in middles)}
    np.testing.assert_array_equal(labels > 0, pred[0] > 0)
    np.testing.assert_array_equal(np.unique(vote.segment_crop(pred, SMALL)), [0, 1, 2])


def test_nucleus_whose_centre_lies_outside_the_image_is_kept():
    shape = (5, 20, 20)
    pred = np.zeros((4, *shape), np.uint8)
    pred[0, :, 8:13, :3] = 255
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"))
    offset = np.array([2, 10, -2])[:, None, None, None] - grid
    pred[1:] = np.where(pred[0] > 0, offset, 0).astype(np.int8).view(np.uint8)
    labels = vote.decode(pred, (0, 0, 0), shape, SMALL).labels
    assert np.unique(labels).tolist() == [0, 1 + int(np.ravel_multi_index((2, 10, 0), shape))]
    assert (labels[pred[0] > 0] > 0).all()


def test_size_filter_of_a_crop_drops_small_objects_and_numbers_the_rest(make_prediction):
    shape = (8, 40, 40)
    pred = make_prediction(11, shape, nuclei=20)
    provisional = vote.decode(pred, (0, 0, 0), shape, SMALL).labels
    ids, counts = np.unique(provisional[provisional > 0], return_counts=True)
    strict = VoteParams(**{**vars(SMALL), "min_voxels": int(np.median(counts))})
    final = vote.segment_crop(pred, strict)
    kept = ids[counts >= strict.min_voxels]
    assert 0 < len(kept) < len(ids)
    assert final.dtype == np.uint32
    expected = np.searchsorted(kept, provisional) + 1
    np.testing.assert_array_equal(final, np.where(np.isin(provisional, kept), expected, 0))


def test_nothing_in_nothing_out():
    pred = np.zeros((4, 3, 4, 5), np.uint8)
    block = vote.decode(pred, (0, 0, 0), (3, 4, 5), VoteParams())
    assert not block.labels.any()
    assert len(block.centres.identity) == 0
    assert vote.segment_crop(pred, VoteParams()).max() == 0


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 3, 3), np.uint8), np.zeros((3, 3, 3, 3), np.uint8), np.zeros((4, 1, 1, 1))]
)
def test_other_arrays_are_refused(bad):
    with pytest.raises(InvalidInput, match="quantised prediction"):
        vote.decode(bad, (0, 0, 0), (3, 3, 3), VoteParams())


def test_working_in_small_steps_changes_nothing(make_prediction, monkeypatch):
    shape = (8, 40, 40)
    pred = make_prediction(17, shape, nuclei=25)
    whole = vote.decode(pred, (0, 0, 0), shape, SMALL).labels
    for module in ("assignment", "centres", "rivals"):
        monkeypatch.setattr(f"noyau.decoding.{module}._STEP", 50)
    assert len(np.unique(whole)) > 5
    np.testing.assert_array_equal(vote.decode(pred, (0, 0, 0), shape, SMALL).labels, whole)
