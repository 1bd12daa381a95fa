"""What a few labelled crops are worth: a model fine-tuned on 1, 3 and 10 of them, measured on images kept back."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import monotonic

import numpy as np

from noyau.bench.labelled_crops import Sample, cut_crop, read_samples, spread
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import VoxelSize
from noyau.domain.model import ModelInfo
from noyau.domain.progress import Reporter, SilentReporter
from noyau.domain.training_jobs import TrainSpec
from noyau.inference.cache import BackendCache
from noyau.measurement.curves import Chart, draw_curves
from noyau.models.home import ModelHome
from noyau.models.registry import ModelRegistry
from noyau.pipelines import preview, train_job
from noyau.pipelines.context import PipelineContext
from noyau.training.metrics import pool, score

COUNTS = (1, 3, 10)
TABLE, PICTURE = "few_labels.csv", "few_labels.png"
_CROPS = "crops"


@dataclass(frozen=True)
class FewLabels:
    """The conditions of the curve.

    Attributes:
        model: the model that is fine-tuned, as in `noyau train --parent`.
        data: npz pairs (`image`, `labels`): files, folders or patterns. A 2D model gets planes of volumes.
        val: patterns of file names (of the stem) that are measured and never trained on.
        counts: numbers of labelled crops, ascending; smaller sets are part of the larger ones.
        steps: of every fine-tuning; None lets the data decide.
        images: most images measured; 0 for all.
        seed: decides the crops and the training.
        threads: of the network.
        voxel_size: of the data, micrometres z/y/x; None takes the model's.
        inverted: take the images with bright and dark exchanged, which fluorescence models have never seen.
    """

    model: str
    data: tuple[str, ...]
    val: tuple[str, ...]
    counts: tuple[int, ...] = COUNTS
    steps: int | None = None
    images: int = 0
    seed: int = 0
    threads: int = 1
    voxel_size: VoxelSize | None = None
    inverted: bool = False


@dataclass(frozen=True)
class Point:
    """Figures of one model on the images kept back; `crops` 0 is the model before fine-tuning."""

    crops: int
    labelled_nuclei: int
    f1_50: float
    f1_70: float
    seg: float
    true: int
    found: int
    images: int
    minutes: float


def measure_few_labels(
    setup: FewLabels, folder: Path, models: Sequence[Path] | None = None, reporter: Reporter | None = None
) -> list[Point]:
    """Fine-tunes once per number of crops, through the training job, and measures each model.

    Args:
        setup: the conditions.
        folder: for crops, models, `few_labels.csv` and `few_labels.png`.
        models: folders of model packages; None means the shipped ones.
        reporter: takes progress, and says when to stop.

    Raises:
        InvalidInput: there are too few pairs on either side.
        NoyauError: as the training job.
    """
    reporter = reporter or SilentReporter()
    folder = folder.absolute()
    registry = ModelRegistry(models, ModelHome(str(folder / "models"), folder / "cache"))
    backends = BackendCache(threads=setup.threads)
    context = PipelineContext(
        registry, AccessPolicy.everything(), folder / "work", backends, reporter, threads=setup.threads
    )
    parent = registry.get(setup.model)
    train, held = read_samples(setup.data, setup.val, parent.ndim, setup.seed, setup.inverted)
    if len(train) < max(setup.counts) or not held:
        raise InvalidInput(
            f"There are {len(train)} images to take crops from and {len(held)} to measure on.",
            f"Give at least {max(setup.counts)} and 1; --val names those to measure on.",
        )
    measured = held[:: max(1, len(held) // setup.images)][: setup.images] if setup.images else held
    points = [_measure(setup, parent, context, measured, 0, 0, 0.0)]
    crops = [cut_crop(sample, setup.seed) for sample in spread(train)[: max(setup.counts)]]
    for count in setup.counts:
        reporter.check()
        begun = monotonic()
        tuned = _fine_tune(setup, parent, crops[:count], context, folder)
        nuclei = sum(len(np.unique(crop.labels)) - 1 for crop in crops[:count])
        points.append(_measure(setup, tuned, context, measured, count, nuclei, (monotonic() - begun) / 60))
    _write(points, folder, parent)
    backends.close()
    return points


def _fine_tune(
    setup: FewLabels, parent: ModelInfo, crops: Sequence[Sample], context: PipelineContext, folder: Path
) -> ModelInfo:
    place = folder / _CROPS / str(len(crops))
    place.mkdir(parents=True, exist_ok=True)
    for crop in crops:
        np.savez_compressed(place / f"{crop.name}.npz", image=crop.image, labels=crop.labels)
    size = setup.voxel_size or parent.voxel_size
    name = f"{parent.name}-{len(crops)}-crops"
    spec = TrainSpec(
        name=name, data=(str(place),), parent=parent.ref, mode="finetune", voxel_size=size, steps=setup.steps,
        device="cpu", seed=setup.seed,
    )  # fmt: skip
    result = train_job.run(spec, replace(context, workdir=folder / "work" / name, job_id=name))
    return context.registry.get(result.models[0])


def _measure(
    setup: FewLabels,
    model: ModelInfo,
    context: PipelineContext,
    samples: Sequence[Sample],
    crops: int,
    nuclei: int,
    minutes: float,
) -> Point:
    context.reporter.stage(f"measure {model.ref}")
    scores = []
    for done, sample in enumerate(samples, start=1):
        context.reporter.check()
        flat = sample.image.ndim == 2
        found = preview.run(
            sample.image[None] if flat else sample.image,
            registry=context.registry,
            backends=context.backends,
            voxel_size=setup.voxel_size,
            model=model.ref,
            device="cpu",
            # Each of these networks sees a few images only: converting it for a faster library would not pay.
            backend="torch",
        )
        truth = sample.labels[None] if flat else sample.labels
        scores.append(score(truth, np.asarray(found.labels), (0.5, 0.7)))
        context.reporter.progress(done, len(samples), "image")
    pooled = pool(scores)
    return Point(
        crops=crops,
        labelled_nuclei=nuclei,
        f1_50=round(pooled.f1(0.5), 4),
        f1_70=round(pooled.f1(0.7), 4),
        seg=round(pooled.seg, 4),
        true=pooled.true,
        found=pooled.pred,
        images=len(samples),
        minutes=round(minutes, 2),
    )


def _write(points: Sequence[Point], folder: Path, parent: ModelInfo) -> None:
    """The table and the picture of the curve."""
    with (folder / TABLE).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(asdict(points[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(point) for point in points)
    lines = {
        name: {point.crops: getattr(point, field) for point in points}
        for name, field in (("F1 at IoU 0.5", "f1_50"), ("F1 at IoU 0.7", "f1_70"), ("SEG", "seg"))
    }
    heading = f"{parent.ref}, fine-tuned on a few labelled crops"
    picture = draw_curves([Chart(f"figures on {points[0].images} images kept back", lines, "labelled crops")], heading)
    (folder / PICTURE).write_bytes(picture)
