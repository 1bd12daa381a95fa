"""Quality of labels against true labels, per image and pooled over a set.

Everything is kept as counts that add up, so a pooled score is the same formula applied to summed counts (not a mean
of means). Formulas, at an IoU threshold t with TP pairs, FP and FN objects left over:

- AP(t) = TP / (TP + FP + FN), called "accuracy" in `stardist.matching`; it is not the AP of COCO.
- F1(t) = 2 TP / (2 TP + FP + FN), precision = TP / (TP + FP), recall = TP / (TP + FN).
- PQ(t) = (sum of IoU over TP) / (TP + FP/2 + FN/2), panoptic quality (Kirillov et al. 2019).
- SEG = mean over true objects of the IoU with the predicted object that covers more than half of it, else 0
  (Cell Tracking Challenge, Ulman et al. 2017).
- Dice = 2 |A and B| / (|A| + |B|) of the foregrounds.
- Detection F1: centroids matched one to one within a radius in micrometres.

Where there is nothing to find and nothing was found, a score is 1; where only one side is empty it is 0 (stardist
gives 0 in both cases).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import VoxelSize
from noyau.training.matching import match_overlap, match_points
from noyau.training.overlap import Overlap, overlap

THRESHOLDS: tuple[float, ...] = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


@dataclass(frozen=True)
class Counts:
    """What was counted, for one image or (added up) for many. All arrays are float64.

    Leading axes are free (the bootstrap uses one row per resample); `tp` and `iou` have one more axis, the
    thresholds.

    Attributes:
        images: number of images.
        true, pred: objects.
        tp: matched pairs per threshold.
        iou: sum of IoU over the matched pairs, per threshold.
        seg: sum over true objects of the SEG overlap.
        shared, true_voxels, pred_voxels: foreground voxels in common, and of each side.
        detected: pairs of centroids within the radius; NaN where no radius was given.
        count_error: sum of (predicted - true) objects over images.
        count_error_abs: sum of |predicted - true| over images.
    """

    images: np.ndarray
    true: np.ndarray
    pred: np.ndarray
    tp: np.ndarray
    iou: np.ndarray
    seg: np.ndarray
    shared: np.ndarray
    true_voxels: np.ndarray
    pred_voxels: np.ndarray
    detected: np.ndarray
    count_error: np.ndarray
    count_error_abs: np.ndarray


@dataclass(frozen=True)
class Score:
    """The metrics of one image, or of a set of images.

    Attributes:
        thresholds: IoU thresholds, in the order of the columns of `counts.tp`.
        counts: what was counted.
    """

    thresholds: tuple[float, ...]
    counts: Counts

    @property
    def true(self) -> int:
        return int(self.counts.true)

    @property
    def pred(self) -> int:
        return int(self.counts.pred)

    def value(self, name: str, threshold: float | None = None) -> float:
        """One metric by its name in `metric_values`, e.g. `value("f1", 0.5)` or `value("seg")`.

        Raises:
            InvalidInput: the metric or the threshold is not there.
        """
        values = metric_values(self.counts)
        if name not in values:
            raise InvalidInput(f"There is no metric '{name}'.", f"Known are {', '.join(values)}.")
        if threshold is None:
            return float(values[name])
        if threshold not in self.thresholds:
            raise InvalidInput(f"The threshold {threshold} was not evaluated (only {self.thresholds}).")
        return float(values[name][..., self.thresholds.index(threshold)])

    def ap(self, threshold: float = 0.5) -> float:
        return self.value("ap", threshold)

    def f1(self, threshold: float = 0.5) -> float:
        return self.value("f1", threshold)

    @property
    def seg(self) -> float:
        return self.value("seg")


def score(
    true: np.ndarray,
    pred: np.ndarray,
    thresholds: Sequence[float] = THRESHOLDS,
    *,
    voxel_size: VoxelSize | None = None,
    radius_um: float | None = None,
) -> Score:
    """Compares two label images.

    Args:
        true, pred: integer labels of one shape, (z, y, x) or (y, x); 0 is background.
        thresholds: IoU thresholds in (0, 1].
        voxel_size: needed for the detection F1, micrometres z/y/x.
        radius_um: how far apart two centroids may be; None leaves the detection F1 out.

    Raises:
        InvalidInput: shapes differ, no labels, or a threshold out of range.
    """
    return score_overlap(overlap(true, pred), thresholds, voxel_size=voxel_size, radius_um=radius_um)


def score_overlap(
    table: Overlap,
    thresholds: Sequence[float] = THRESHOLDS,
    *,
    voxel_size: VoxelSize | None = None,
    radius_um: float | None = None,
) -> Score:
    """As `score`, from an overlap table (see `overlap_of_blocks` for volumes larger than memory)."""
    if not thresholds or not all(0 < t <= 1 for t in thresholds):
        raise InvalidInput(f"IoU thresholds {tuple(thresholds)} are not within (0, 1].", "Give e.g. 0.5,0.75.")
    iou = table.iou
    matched = [match_overlap(table.rows, table.cols, iou, t) for t in thresholds]
    difference = len(table.pred) - len(table.true)
    numbers = {
        "images": 1,
        "true": len(table.true),
        "pred": len(table.pred),
        "tp": [len(m) for m in matched],
        "iou": [iou[m].sum() for m in matched],
        "seg": _seg_sum(table, iou),
        "shared": table.voxels.sum(),
        "true_voxels": table.true.voxels.sum(),
        "pred_voxels": table.pred.voxels.sum(),
        "detected": _detected(table, voxel_size, radius_um),
        "count_error": difference,
        "count_error_abs": abs(difference),
    }
    return Score(tuple(thresholds), Counts(**{name: np.asarray(value, float) for name, value in numbers.items()}))


def pool(scores: Iterable[Score]) -> Score:
    """The score of a set of images: counts are summed, then the formulas applied.

    Raises:
        InvalidInput: there are no scores, or they have different thresholds.
    """
    scores = list(scores)
    if not scores or len({s.thresholds for s in scores}) != 1:
        raise InvalidInput("Scores can be pooled only when there are any and all have the same thresholds.")
    stacked = stack(scores)
    summed = {f.name: getattr(stacked, f.name).sum(axis=0) for f in fields(Counts)}
    return Score(scores[0].thresholds, Counts(**summed))


def stack(scores: Sequence[Score]) -> Counts:
    """Counts of several images with the images along the first axis."""
    return Counts(**{f.name: np.stack([getattr(s.counts, f.name) for s in scores]) for f in fields(Counts)})


def metric_values(counts: Counts) -> dict[str, np.ndarray]:
    """All metrics of the counts; those per threshold have the thresholds as last axis.

    `detection_f1` is NaN where no radius was given. `count_error` is the mean of predicted - true per image,
    `count_error_relative` the sum of its absolute value over the number of true objects.
    """
    true, pred = counts.true[..., None], counts.pred[..., None]
    nothing = (counts.true == 0) & (counts.pred == 0)
    none = nothing[..., None]
    images = np.maximum(counts.images, 1)
    return {
        "ap": _ratio(counts.tp, true + pred - counts.tp, none),
        "f1": _ratio(2 * counts.tp, true + pred, none),
        "precision": _ratio(counts.tp, pred, none),
        "recall": _ratio(counts.tp, true, none),
        "pq": _ratio(2 * counts.iou, true + pred, none),
        "mean_matched_iou": _ratio(counts.iou, counts.tp, none),
        "seg": _ratio(counts.seg, counts.true, nothing),
        "dice": _ratio(2 * counts.shared, counts.true_voxels + counts.pred_voxels, nothing),
        "detection_f1": _ratio(2 * counts.detected, counts.true + counts.pred, nothing & ~np.isnan(counts.detected)),
        "count_error": counts.count_error / images,
        "count_error_abs": counts.count_error_abs / images,
        "count_error_relative": counts.count_error_abs / np.maximum(counts.true, 1),
    }


def _ratio(numerator: np.ndarray, denominator: np.ndarray, nothing: np.ndarray) -> np.ndarray:
    """numerator / denominator, 1 where there is nothing on either side, 0 for other divisions by zero."""
    safe = np.where(denominator > 0, denominator, 1.0)
    return np.where(nothing, 1.0, np.where(denominator > 0, numerator / safe, numerator * 0.0))


def _seg_sum(table: Overlap, iou: np.ndarray) -> float:
    return float(iou[2 * table.voxels > table.true.voxels[table.rows]].sum())


def _detected(table: Overlap, voxel_size: VoxelSize | None, radius_um: float | None) -> float:
    if radius_um is None:
        return float("nan")
    if voxel_size is None or radius_um <= 0:
        raise InvalidInput(
            "The detection F1 needs a voxel size and a positive radius in micrometres.",
            "Give both, or leave the radius out.",
        )
    spacing = np.array(tuple(voxel_size))
    return float(match_points(table.true.centroids * spacing, table.pred.centroids * spacing, radius_um))
