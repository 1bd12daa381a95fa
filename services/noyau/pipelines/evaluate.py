"""Labels against labels: the metrics of `noyau.training.metrics` for files and OME-Zarr images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np

from noyau.domain.access import AccessPolicy
from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import Index3, VoxelSize
from noyau.domain.progress import Reporter, SilentReporter
from noyau.measurement.boxes import blocks
from noyau.pipelines.pairing import Pair, pair_by_name
from noyau.sources.labels import LabelSource, open_labels
from noyau.training.bootstrap import Intervals, bootstrap
from noyau.training.marks import without_marks
from noyau.training.metrics import Score, metric_values, pool, score_overlap
from noyau.training.overlap import overlap_of_blocks

THRESHOLDS = (0.5, 0.75, 0.9)
UNIT: Index3 = (64, 512, 512)


@dataclass(frozen=True)
class ImageEvaluation:
    """The score of one image; a time point of a series is an image of its own.

    Attributes:
        name: of the image, `name[t]` for a time point.
        prediction, truth: where the labels are.
        score: its metrics.
    """

    name: str
    prediction: str
    truth: str
    score: Score


@dataclass(frozen=True)
class EvaluationReport:
    """Scores per image and pooled over all.

    Attributes:
        thresholds: IoU thresholds.
        images: in the order of their names.
        pooled: formulas applied to the summed counts.
        intervals: bootstrap over images.
        radius_um: of the detection F1; None where it was not asked for.
        unused: truths without a prediction.
        ignore_below: true objects of fewer voxels were not counted.
    """

    thresholds: tuple[float, ...]
    images: tuple[ImageEvaluation, ...]
    pooled: Score
    intervals: Intervals
    radius_um: float | None = None
    unused: tuple[str, ...] = ()
    ignore_below: int = 0

    def rows(self) -> list[dict[str, Any]]:
        """A flat row per image and a last one, `pooled`; metrics per threshold are named like `f1@0.5`."""
        scores = [(image.name, image.score) for image in self.images] + [("pooled", self.pooled)]
        return [{"image": name, "true": s.true, "predicted": s.pred, **_flat(s)} for name, s in scores]

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON document (no NaN; what was not evaluated is null)."""
        return {
            "thresholds": list(self.thresholds),
            "radius_um": self.radius_um,
            "ignore_below": self.ignore_below,
            "images": [
                {"prediction": image.prediction, "truth": image.truth, **row}
                for image, row in zip(self.images, self.rows(), strict=False)
            ],
            "pooled": self.rows()[-1],
            "intervals": {
                "level": self.intervals.level,
                "resamples": self.intervals.resamples,
                "low": _named(self.intervals.low, self.thresholds),
                "high": _named(self.intervals.high, self.thresholds),
            },
            "unused_truths": list(self.unused),
        }


def run_evaluate(
    predictions: Sequence[str],
    truths: Sequence[str],
    *,
    access: AccessPolicy,
    labels: str | None = None,
    truth_labels: str | None = None,
    key: str = "labels",
    thresholds: Sequence[float] = THRESHOLDS,
    voxel_size: VoxelSize | None = None,
    radius_um: float | None = None,
    ignore_below: int = 0,
    resamples: int = 1000,
    reporter: Reporter | None = None,
) -> EvaluationReport:
    """Compares predicted with true labels.

    Args:
        predictions, truths: files (.npz, .npy, TIFF), OME-Zarr images, label groups, or folders of them; paired by
            name (see `pair_by_name`).
        access: where they may live.
        labels, truth_labels: label group of OME-Zarr predictions and truths; None means the only one.
        key: array of an .npz.
        thresholds: IoU thresholds in (0, 1].
        voxel_size: micrometres z/y/x for the detection F1; None takes it from the metadata of either side.
        radius_um: how far apart centroids may be; None leaves the detection F1 out.
        ignore_below: true objects of fewer voxels are marks and no outlines; see `noyau.training.marks`.
        resamples: of the bootstrap.
        reporter: takes progress.

    Raises:
        NotFound, InvalidInput: labels are missing, do not fit together, or nothing pairs up; the message names them.
    """
    reporter = reporter or SilentReporter()
    pairing = pair_by_name(predictions, truths, access)
    reporter.stage("evaluate")
    images: list[ImageEvaluation] = []
    for done, pair in enumerate(pairing.pairs):
        reporter.check()
        reporter.progress(done, len(pairing.pairs), "image")
        with (
            open_labels(pair.prediction, name=labels, access=access, key=key) as predicted,
            open_labels(pair.truth, name=truth_labels, access=access, key=key) as true,
        ):
            images += _compare(pair, predicted, true, tuple(thresholds), voxel_size, radius_um, ignore_below, reporter)
    reporter.progress(len(pairing.pairs), len(pairing.pairs), "image")
    scores = [image.score for image in images]
    intervals = bootstrap(scores, resamples=resamples)
    return EvaluationReport(
        tuple(thresholds), tuple(images), pool(scores), intervals, radius_um, pairing.unused, ignore_below
    )


def _compare(
    pair: Pair,
    predicted: LabelSource,
    true: LabelSource,
    thresholds: tuple[float, ...],
    voxel_size: VoxelSize | None,
    radius_um: float | None,
    ignore_below: int,
    reporter: Reporter,
) -> Iterator[ImageEvaluation]:
    """Scores of the time points of one pair; reads block by block, so that memory does not follow the volume."""
    a, b = predicted.info, true.info
    if a.shape != b.shape or a.times != b.times:
        raise InvalidInput(
            f"Prediction and truth of '{pair.name}' differ: {a.shape} (z, y, x) with {a.times} time points, "
            f"and {b.shape} with {b.times}.",
            "Compare labels of the same image and resolution level.",
        )
    size = voxel_size or a.voxel_size or b.voxel_size
    if radius_um is not None and size is None:
        raise InvalidInput(
            f"Neither the prediction nor the truth of '{pair.name}' says how large its voxels are.",
            "Give --voxel-size z,y,x in micrometres, or leave the radius out.",
        )

    def read(time: int) -> Iterator[tuple[Index3, np.ndarray, np.ndarray]]:
        for box in blocks(a.shape, UNIT):
            reporter.check()
            yield box.start, true.read(box, time=time), predicted.read(box, time=time)

    for time in range(a.times):
        name = pair.name if a.times == 1 else f"{pair.name}[{time}]"
        table = without_marks(overlap_of_blocks(read(time)), ignore_below)
        score = score_overlap(table, thresholds, voxel_size=size, radius_um=radius_um)
        yield ImageEvaluation(name, pair.prediction, pair.truth, score)


def _flat(score: Score) -> dict[str, float | None]:
    return _named(metric_values(score.counts), score.thresholds)


def _named(values: dict[str, np.ndarray], thresholds: Sequence[float]) -> dict[str, float | None]:
    """Metrics as plain numbers; those with one number per threshold become `name@threshold`."""
    flat: dict[str, float | None] = {}
    for name, value in values.items():
        if np.ndim(value):
            flat |= {f"{name}@{t:g}": _plain(float(v)) for t, v in zip(thresholds, value, strict=True)}
        else:
            flat[name] = _plain(float(value))
    return flat


def _plain(value: float) -> float | None:
    return None if isnan(value) else value
