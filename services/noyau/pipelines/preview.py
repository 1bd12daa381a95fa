"""A crop in, labels or probabilities out: the stages of `segment` in memory, for previews and crop inference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noyau.assembly.numbering import apply_numbering, number_objects
from noyau.assembly.objects import summarise
from noyau.assembly.stitching import provisional_names
from noyau.decoding import vote
from noyau.domain.geometry import Box, VoxelSize
from noyau.domain.jobs import SegmentSpec
from noyau.domain.progress import SilentReporter
from noyau.inference.backend import Backend, never_stop
from noyau.inference.cache import BackendCache
from noyau.inference.selection import choose
from noyau.models.registry import ModelRegistry
from noyau.pipelines.context import Limits
from noyau.pipelines.frames import Frame
from noyau.pipelines.memory import ArraySource
from noyau.pipelines.networks import find_model, ready_network
from noyau.pipelines.prepare import plan_image
from noyau.pipelines.statistics import Intensity, measure_intensity


@dataclass(frozen=True)
class Preview:
    """What came of a crop.

    Attributes:
        model: name@version that was used.
        labels: uint32 z/y/x, 0 is background, nuclei are 1..n in raster order of their centres; None if not wanted.
        probability: foreground probability, float32 z/y/x; None if not wanted.
        digest: of the model's weights.
    """

    model: str
    labels: np.ndarray | None = None
    probability: np.ndarray | None = None
    digest: str = ""


def run(
    image: np.ndarray,
    *,
    registry: ModelRegistry,
    backends: BackendCache,
    voxel_size: VoxelSize | None = None,
    model: str | None = None,
    labels: bool = True,
    probability: bool = False,
    device: str = "auto",
    backend: str = "auto",
    foreground: float | None = None,
    min_volume: float | None = None,
    diameter: float | None = None,
    limits: Limits | None = None,
    intensity: Intensity | None = None,
    check: Callable[[], None] = never_stop,
) -> Preview:
    """Segments a crop.

    Args:
        image: z/y/x pixels; a plane has z = 1.
        registry, backends: known models and warm networks.
        voxel_size: micrometres z/y/x; None means the model's own.
        model: name or name@version; None picks by the crop.
        labels, probability: which outputs are wanted.
        device, backend: as in `SegmentSpec`.
        foreground, min_volume, diameter: as in `SegmentSpec`.
        limits: largest crop and window; None takes the defaults.
        intensity: what normalises the crop, for example that of the image it was cut from; None measures the crop.
        check: called while the network runs; raises to stop.

    Raises:
        InvalidInput, NotFound, FailedPrecondition, LimitExceeded, DamagedData: as for a job.
    """
    limits = limits or Limits()
    source = ArraySource(image)
    info = find_model(registry, model, source.info)
    source = ArraySource(image, voxel_size or info.voxel_size or VoxelSize(1.0, 1.0, 1.0))
    spec = SegmentSpec((source.ref,), foreground=foreground, min_volume=min_volume, diameter=diameter)
    plan = plan_image("crop", source.info, info, spec, limits, choose(device, backend).backend)
    intensity = intensity or measure_intensity(source, 0, info.normalisation, SilentReporter())
    frame = Frame(source, 0, plan, (), intensity, Path(), "")
    network = ready_network(registry, backends, info, device, backend)
    prediction = _predict(frame, network, check)
    return Preview(
        model=info.ref,
        digest=info.digest,
        labels=_labels(frame, prediction) if labels else None,
        probability=_probability(frame, prediction) if probability else None,
    )


def _predict(frame: Frame, network: Backend, check: Callable[[], None]) -> np.ndarray:
    """The quantised prediction of the whole crop on the model's grid."""
    grid = frame.plan.grid
    result = np.zeros((frame.plan.planes, *grid.shape), np.uint8)
    if frame.intensity.is_flat:
        return result
    for tile in grid.tiles:
        check()
        window = network.predict(frame.window(tile.padded)[None], check=check)[0]
        inner = tile.core.relative_to(tile.padded.start).slices
        result[(slice(None), *tile.core.slices)] = window[(slice(None), *inner)]
    return result


def _labels(frame: Frame, prediction: np.ndarray) -> np.ndarray:
    plan = frame.plan
    whole = Box.of(plan.info.shape)
    if plan.decoder is None:
        found = vote.decode(prediction, (0, 0, 0), plan.scaling.shape, plan.vote).labels
    else:
        found = plan.decoder.decode(prediction)
    labels = plan.scaling.labels_to_image(found, (0, 0, 0), whole)
    if plan.decoder is not None:
        labels = provisional_names(labels, whole, plan.info.shape, 0, 1)
    # The windowed decoders give no probability that all of them mean alike.
    sure = None if plan.decoder is not None else plan.scaling.labels_to_image(prediction[0], (0, 0, 0), whole)
    objects = summarise(labels, (0, 0, 0), sure)
    return apply_numbering(labels, number_objects(objects, plan.min_voxels, plan.vote.min_certainty))


def _probability(frame: Frame, prediction: np.ndarray) -> np.ndarray:
    whole = Box.of(frame.plan.info.shape)
    return frame.plan.scaling.labels_to_image(prediction[0], (0, 0, 0), whole).astype(np.float32) / np.float32(255)
