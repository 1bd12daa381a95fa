"""Metrics against hand-counted cases and a dense Hungarian reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import VoxelSize
from noyau.training import matching
from noyau.training.bootstrap import bootstrap
from noyau.training.matching import match_overlap, match_points
from noyau.training.metrics import metric_values, pool, score, score_overlap
from noyau.training.overlap import overlap, overlap_of_blocks
from scipy.optimize import linear_sum_assignment


def random_labels(seed: int, objects: int, shape: tuple[int, ...] = (8, 24, 24)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    for value in rng.permutation(3 * objects)[:objects] + 1:
        start = [rng.integers(0, s) for s in shape]
        labels[tuple(slice(a, a + rng.integers(2, 9)) for a in start)] = value
    return labels


def dense_iou(true: np.ndarray, pred: np.ndarray) -> np.ndarray:
    a = [true == v for v in np.unique(true) if v]
    b = [pred == v for v in np.unique(pred) if v]
    return np.array([[(p & q).sum() / (p | q).sum() for q in b] for p in a]).reshape(len(a), len(b))


def stardist_counts(iou: np.ndarray, threshold: float) -> tuple[int, float]:
    """The matching of `stardist.matching.matching` (0.9), dense: pairs and the sum of their IoU."""
    if iou.size == 0 or not (iou >= threshold).any():
        return 0, 0.0
    costs = -(iou >= threshold).astype(float) - iou / (2 * min(iou.shape))
    rows, cols = linear_sum_assignment(costs)
    matched = iou[rows, cols]
    return int((matched >= threshold).sum()), float(matched[matched >= threshold].sum())


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(0, 14), m=st.integers(0, 14))
def test_matching_is_that_of_a_dense_hungarian_reference(seed: int, n: int, m: int) -> None:
    true, pred = random_labels(seed, n), random_labels(seed + 1, m)
    if seed % 3 == 0:
        pred = np.roll(true, (0, 1, 2), (0, 1, 2)) * (pred % 5 != 1)
    iou = dense_iou(true, pred)
    thresholds = (0.02, 0.1, 0.3, 0.5, 0.7)
    result = score(true, pred, thresholds)
    for k, threshold in enumerate(thresholds):
        tp, _ = stardist_counts(iou, threshold)
        assert result.counts.tp[k] == tp
        fp, fn = iou.shape[1] - tp, iou.shape[0] - tp
        if tp + fp + fn:
            assert result.ap(threshold) == pytest.approx(tp / (tp + fp + fn))
            assert result.f1(threshold) == pytest.approx(2 * tp / (2 * tp + fp + fn))
        best = best_iou_sum(np.where(iou >= threshold, iou, -1.0), tp)
        assert result.counts.iou[k] == pytest.approx(best)


def best_iou_sum(iou: np.ndarray, pairs: int) -> float:
    """Largest sum of IoU over matchings with `pairs` pairs, with a penalty that keeps their number."""
    if pairs == 0:
        return 0.0
    rows, cols = linear_sum_assignment(np.where(iou >= 0, -iou - 1000.0, 0.0))
    matched = iou[rows, cols]
    assert (matched >= 0).sum() == pairs
    return float(matched[matched >= 0].sum())


def test_competing_pairs_below_one_half_are_assigned_optimally() -> None:
    true = np.array([[1] * 10 + [2] * 10])
    # Object 5 overlaps both; greedy by IoU would give it to 1 (0.4) and leave 2 without a partner... but 6 can take 1.
    pred = np.array([[6] * 4 + [5] * 10 + [0] * 6])
    result = score(true, pred, (0.2,))
    assert result.counts.tp[0] == 2
    assert result.counts.iou[0] == pytest.approx(4 / 10 + 4 / 16)


def test_hand_counted_image() -> None:
    true = np.zeros((1, 4, 10), np.uint16)
    true[0, 0, :8], true[0, 2, :8] = 3, 9
    pred = np.zeros_like(true)
    pred[0, 0, :6], pred[0, 2, :3], pred[0, 2, 4:7], pred[0, 3, 5:] = 1, 2, 4, 5
    result = score(true, pred, (0.5, 0.8))
    assert (result.true, result.pred) == (2, 4)
    assert list(result.counts.tp) == [1, 0]
    assert result.ap(0.5) == pytest.approx(1 / 5)
    assert result.value("precision", 0.5) == pytest.approx(1 / 4)
    assert result.value("recall", 0.5) == pytest.approx(1 / 2)
    assert result.value("pq", 0.5) == pytest.approx(0.75 / 3)
    assert result.seg == pytest.approx(0.75 / 2)
    assert result.value("dice") == pytest.approx(2 * 12 / (16 + 17))
    assert result.value("count_error") == 2


def test_seg_asks_for_more_than_half_of_the_true_object() -> None:
    true = np.array([[1] * 8])
    exactly_half, more = np.array([[5] * 4 + [0] * 4]), np.array([[5] * 5 + [0] * 3])
    assert score(true, exactly_half).seg == 0
    assert score(true, more).seg == pytest.approx(5 / 8)


def test_two_true_objects_may_share_one_in_seg_but_not_in_ap() -> None:
    true, pred = np.array([[1] * 4 + [2] * 4]), np.array([[7] * 8])
    result = score(true, pred, (0.5,))
    assert result.seg == pytest.approx(0.5)
    assert result.counts.tp[0] == 1


@pytest.mark.parametrize("shape", [(5, 6), (3, 5, 6)])
def test_nothing_to_find(shape: tuple[int, ...]) -> None:
    empty, one = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    one[..., 1:3, 1:3] = 1
    unit = VoxelSize(1, 1, 1)
    ratios = ("seg", "dice", "detection_f1")
    for true, pred, expected in ((empty, empty, 1.0), (one, empty, 0.0), (empty, one, 0.0), (one, one, 1.0)):
        result = score(true, pred, (0.5,), voxel_size=unit, radius_um=2)
        for name in ("ap", "f1", "precision", "recall", "pq"):
            assert result.value(name, 0.5) == expected, name
        assert [result.value(name) for name in ratios] == [expected] * 3


def test_identical_labels_score_one_whatever_their_numbers() -> None:
    true = random_labels(4, 12)
    renumbered = np.where(true > 0, 5_000_000_000 - true.astype(np.int64), 0)
    result = score(true, renumbered, voxel_size=VoxelSize(2, 1, 1), radius_um=0.5)
    values = metric_values(result.counts)
    for name in ("ap", "f1", "precision", "recall", "pq", "seg", "dice", "detection_f1"):
        assert np.all(values[name] == 1.0), name


def test_blocks_give_the_same_table_as_the_whole() -> None:
    true, pred = random_labels(1, 9), random_labels(2, 9)
    whole = overlap(true, pred)
    cuts = [(slice(z, z + 3), slice(None), slice(x, x + 10)) for z in range(0, 8, 3) for x in range(0, 24, 10)]
    pieces = overlap_of_blocks(((c[0].start, 0, c[2].start), true[c], pred[c]) for c in cuts)
    for name in ("rows", "cols", "voxels"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(pieces, name))
    np.testing.assert_allclose(whole.true.centroids, pieces.true.centroids)
    expected = np.array([np.argwhere(true == v).mean(axis=0) for v in whole.true.ids])
    np.testing.assert_allclose(whole.true.centroids, expected)


def test_detection_uses_micrometres() -> None:
    true, pred = np.zeros((6, 9, 9), int), np.zeros((6, 9, 9), int)
    true[1, 4, 4], pred[3, 4, 4] = 1, 1
    close = score(true, pred, (0.5,), voxel_size=VoxelSize(0.5, 1, 1), radius_um=1.0)
    far = score(true, pred, (0.5,), voxel_size=VoxelSize(2.0, 1, 1), radius_um=1.0)
    assert (close.value("detection_f1"), far.value("detection_f1")) == (1.0, 0.0)
    with pytest.raises(InvalidInput, match="voxel size"):
        score(true, pred, (0.5,), radius_um=1.0)
    assert np.isnan(score(true, pred, (0.5,)).value("detection_f1"))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 20), m=st.integers(1, 20))
def test_points_are_matched_as_by_a_dense_assignment(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    true, pred = rng.uniform(0, 6, (n, 3)), rng.uniform(0, 6, (m, 3))
    near = np.linalg.norm(true[:, None] - pred[None], axis=-1) <= 2.0
    rows, cols = linear_sum_assignment(~near)
    assert match_points(true, pred, 2.0) == near[rows, cols].sum()


def test_groups_too_large_for_a_dense_matrix_are_matched_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    table = overlap(random_labels(5, 40), random_labels(6, 40))
    dense = match_overlap(table.rows, table.cols, table.iou, 0.02)
    monkeypatch.setattr(matching, "DENSE_ENTRIES", 0)
    sparse = match_overlap(table.rows, table.cols, table.iou, 0.02)
    assert len(dense) == len(sparse) > 3
    assert table.iou[dense].sum() == pytest.approx(table.iou[sparse].sum())


def test_pooled_scores_sum_counts() -> None:
    few = score(np.array([[1, 1, 0, 2]]), np.array([[1, 1, 0, 0]]), (0.5,))
    none = score(np.array([[0, 0]]), np.array([[0, 3]]), (0.5,))
    both = pool([few, none])
    assert both.counts.images == 2
    assert both.ap() == pytest.approx(1 / 3)
    assert both.seg == pytest.approx(1 / 2)
    assert both.value("count_error") == 0
    assert both.value("count_error_abs") == 1
    with pytest.raises(InvalidInput):
        pool([])


def test_bootstrap_covers_the_pooled_score_and_is_reproducible() -> None:
    scores = [score(random_labels(s, 8), np.roll(random_labels(s, 8), s % 3, -1), (0.5,)) for s in range(24)]
    pooled = pool(scores)
    first, again = bootstrap(scores, resamples=400, seed=3), bootstrap(scores, resamples=400, seed=3)
    assert first.low["f1"][0] < pooled.f1() < first.high["f1"][0]
    assert first.low["seg"] < pooled.seg < first.high["seg"]
    assert first.low["seg"] == again.low["seg"]
    single = bootstrap(scores[:1], resamples=10)
    assert single.low["seg"] == single.high["seg"] == pytest.approx(scores[0].seg)


def test_many_objects_need_no_dense_table() -> None:
    rng = np.random.default_rng(0)
    ids = np.arange(1, 100_001)
    true = np.repeat(ids, 6).reshape(600, 1000)
    pred = np.where(rng.random(true.shape) < 0.35, np.roll(true, 3), true)
    result = score(true, pred, (0.2, 0.5), voxel_size=VoxelSize(1, 6, 1), radius_um=3.0)
    assert result.true == 100_000
    assert 0.3 < result.f1(0.5) < result.f1(0.2) <= 1.0


def test_what_is_not_a_pair_of_labels_is_refused() -> None:
    with pytest.raises(InvalidInput, match="differ in shape"):
        score(np.zeros((3, 3), int), np.zeros((3, 4), int))
    with pytest.raises(InvalidInput, match="does not hold labels"):
        score(np.zeros((3, 3)), np.zeros((3, 3), int))
    with pytest.raises(InvalidInput, match="negative"):
        score(np.full((3, 3), -1), np.zeros((3, 3), int))
    with pytest.raises(InvalidInput, match="thresholds"):
        score(np.zeros((3, 3), int), np.zeros((3, 3), int), (0.0,))
    with pytest.raises(InvalidInput, match="was not evaluated"):
        score_overlap(overlap(np.zeros((3, 3), int), np.zeros((3, 3), int)), (0.5,)).f1(0.6)
