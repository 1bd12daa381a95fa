"""What other cameras, noise, blur and coarser planes cost: one model on one set of images that are changed in turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage as ndi

from noyau.bench.labelled_crops import Sample, read_samples
from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import VoxelSize
from noyau.domain.model import ModelInfo
from noyau.domain.progress import Reporter, SilentReporter
from noyau.inference.cache import BackendCache
from noyau.models.registry import ModelRegistry
from noyau.pipelines import preview
from noyau.training.metrics import pool, score

NOISE = 0.08
"""Standard deviation of the added noise, in units of the spread from the middle to the brightest 0.2 % of an image."""
BLUR = (0.5, 1.0, 1.0)
"""Standard deviation z/y/x of the added blur, voxels."""
CLEAN = "clean"


@dataclass(frozen=True)
class Change:
    """What is done to an image.

    Attributes:
        name: of its row.
        apply: pixels float64 and a generator to pixels.
        planes: only every so manieth plane is kept.
    """

    name: str
    apply: Callable[[np.ndarray, np.random.Generator], np.ndarray]
    planes: int = 1


@dataclass(frozen=True)
class Robustness:
    """The conditions of the table.

    Attributes:
        model: as in `noyau segment --model`.
        data: npz pairs (`image`, `labels`): files, folders or patterns. A 2D model gets planes of volumes.
        val: patterns of the file names (of the stem) that are measured.
        images: most images, spread evenly over them; 0 for all.
        seed: of the noise.
        threads: of the network.
        voxel_size: of the data, micrometres z/y/x; None takes the model's.
    """

    model: str
    data: tuple[str, ...]
    val: tuple[str, ...]
    images: int = 0
    seed: int = 0
    threads: int = 1
    voxel_size: VoxelSize | None = None


@dataclass(frozen=True)
class Condition:
    """One row: figures over all objects, and what the condition costs against the unchanged images."""

    condition: str
    f1_50: float
    f1_70: float
    seg: float
    cost: float
    true: int
    found: int
    images: int


def measure_robustness(
    setup: Robustness, models: Sequence[Path] | None = None, reporter: Reporter | None = None
) -> list[Condition]:
    """Segments the images as they are and under each change; the first row is that of the unchanged ones.

    Args:
        setup: the conditions.
        models: folders of model packages; None means the shipped ones.
        reporter: takes progress, and says when to stop.

    Raises:
        InvalidInput: there is no image to measure.
        NoyauError: as for `noyau.pipelines.preview.run`.
    """
    reporter = reporter or SilentReporter()
    registry = ModelRegistry(models)
    backends = BackendCache(threads=setup.threads)
    try:
        info = registry.get(setup.model)
        _, held = read_samples(setup.data, setup.val, info.ndim, setup.seed)
        if not held:
            raise InvalidInput("There is no image to measure.", "--val names those to measure, e.g. 'Emb1[01]_*'.")
        samples = held[:: max(1, len(held) // setup.images)][: setup.images] if setup.images else held
        rows: list[Condition] = []
        for change in changes(info.ndim):
            reporter.stage(change.name)
            row = _measure(setup, info, registry, backends, samples, change, reporter)
            rows.append(replace(row, cost=round((rows[0].f1_50 if rows else row.f1_50) - row.f1_50, 4)))
    finally:
        backends.close()
    return rows


def changes(ndim: int) -> list[Change]:
    """What is done to the images of a model of so many dimensions; nothing at first."""
    gains = [Change(f"gain x{gain:g}", partial(_brighter, gain=gain)) for gain in (0.25, 0.5, 2.0, 4.0)]
    blur = Change("blur", lambda light, rng: ndi.gaussian_filter(light, BLUR[3 - ndim :]))
    found = [
        Change(CLEAN, _unchanged), *gains, Change("offset +2000", lambda light, rng: light + 2000.0),
        Change("noise", _noisy), blur,
    ]  # fmt: skip
    return [*found, Change("every second plane", _unchanged, planes=2)] if ndim == 3 else found


def _unchanged(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return light


def _brighter(light: np.ndarray, rng: np.random.Generator, gain: float) -> np.ndarray:
    return light * gain


def _noisy(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    middle, bright = np.percentile(light, [50.0, 99.8])
    return light + rng.normal(0.0, NOISE * (bright - middle), light.shape)


def change_image(image: np.ndarray, change: Change, rng: np.random.Generator) -> np.ndarray:
    """The image as a camera of 16 bits would have taken it under a change; floats stay floats."""
    light = change.apply(image.astype(np.float64), rng)[:: change.planes]
    if image.dtype.kind == "f":
        return np.asarray(light, image.dtype)
    return np.asarray(np.rint(light).clip(0, 65535), np.uint16)


def _measure(
    setup: Robustness,
    info: ModelInfo,
    registry: ModelRegistry,
    backends: BackendCache,
    samples: Sequence[Sample],
    change: Change,
    reporter: Reporter,
) -> Condition:
    size = setup.voxel_size or info.voxel_size
    if size is not None:
        size = VoxelSize(size.z * change.planes, size.y, size.x)
    scores = []
    for number, sample in enumerate(samples):
        reporter.check()
        image = change_image(sample.image, change, np.random.default_rng([setup.seed, number]))
        volume, truth = (a if a.ndim == 3 else a[None] for a in (image, sample.labels[:: change.planes]))
        found = preview.run(volume, registry=registry, backends=backends, voxel_size=size, model=info.ref)
        scores.append(score(truth, np.asarray(found.labels), (0.5, 0.7)))
        reporter.progress(number + 1, len(samples), "image")
    pooled = pool(scores)
    figures = (round(pooled.f1(0.5), 4), round(pooled.f1(0.7), 4), round(pooled.seg, 4))
    return Condition(change.name, *figures, cost=0.0, true=pooled.true, found=pooled.pred, images=len(samples))
