"""Jobs as frozen data: what is asked (specs), in which state a job is, and what happened (events)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from noyau.domain.geometry import Index3, VoxelSize
from noyau.domain.image import ImageRef
from noyau.domain.training_jobs import SuggestSpec, SynthSpec, TrainSpec

Rois = Literal["auto", "masks", "polygons", "points", "none"]
LabelImage = Literal["auto", "always", "never", "zarr"]


class JobState(StrEnum):
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True)
class SegmentSpec:
    """Find, outline and measure nuclei.

    Attributes:
        images: what to segment; plates expand to their fields.
        model: model name, optionally `name@version`; None picks nuclei-3d or nuclei-2d by the image.
        labels: name of the label group that is written beside the image.
        output: root URI to write to instead of the image itself (one image) or a folder (many); None means in place.
        voxel_size: overrides or supplies the voxel size, micrometres z/y/x.
        diameter: expected nucleus diameter in micrometres; rescales to the model's nominal size. None: see
            `fit_diameter`.
        fit_diameter: where `diameter` is None, look in a crop of each image whether its nuclei are much smaller or
            larger than the model's, and rescale if so. False: by voxel size only. None: yes for the models that can.
        tile: tile core in voxels z/y/x; None picks one for the device.
        batch: tiles per forward pass; None picks one for the device.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        backend: `auto`, `torch` or `openvino`.
        foreground: foreground probability threshold; None takes the model's.
        min_volume: smallest nucleus kept, cubic micrometres (square micrometres in 2D); None takes the model's.
        measure: also write the table of measurements.
        overwrite: replace labels of that name if they exist.
        workers: reading/decoding threads; None picks by the machine. Never changes the result.
        fill_missing: treat missing chunks as zero instead of refusing them.
        rois: of images in OMERO: `auto` (masks within the budget), `masks`, `polygons`, `points` or `none`.
        label_image: of images in OMERO, whether labels are saved as an image: `auto` (where ROIs do not show every
            pixel), `always` or `never`; `zarr` writes them into the OME-Zarr behind the image.
    """

    images: tuple[ImageRef, ...]
    model: str | None = None
    labels: str = "nuclei"
    output: str | None = None
    voxel_size: VoxelSize | None = None
    diameter: float | None = None
    tile: Index3 | None = None
    batch: int | None = None
    device: str = "auto"
    backend: str = "auto"
    foreground: float | None = None
    min_volume: float | None = None
    measure: bool = True
    overwrite: bool = False
    workers: int | None = None
    fill_missing: bool = False
    fit_diameter: bool | None = None
    rois: Rois = "auto"
    label_image: LabelImage = "auto"


@dataclass(frozen=True)
class MeasureSpec:
    """Measure existing labels.

    Attributes:
        images: intensity images that hold the label group.
        labels: name of the label group under each image.
        channels: channels to measure, by index or name; empty means all.
        output: root URI to write tables to instead of the image itself.
        voxel_size: overrides or supplies the voxel size, micrometres z/y/x.
        overwrite: replace an existing table.
    """

    images: tuple[ImageRef, ...]
    labels: str = "nuclei"
    channels: tuple[int | str, ...] = ()
    output: str | None = None
    voxel_size: VoxelSize | None = None
    overwrite: bool = False


JobSpec = SegmentSpec | MeasureSpec | TrainSpec | SuggestSpec | SynthSpec


def inputs_of(spec: JobSpec) -> tuple[str, ...]:
    """URIs of the images or datasets that a job reads; none for synthetic images."""
    if isinstance(spec, TrainSpec):
        return spec.data
    if isinstance(spec, SynthSpec):
        return ()
    return tuple(image.uri for image in spec.images)


@dataclass(frozen=True)
class JobError:
    """Why a job failed: kind is an ErrorKind name."""

    kind: str
    cause: str
    remedy: str = ""


@dataclass(frozen=True)
class ImageResult:
    """What a job wrote for one image.

    Attributes:
        uri: the image.
        labels_uri, table_uri, overview_uri, provenance_uri: what was written.
        nuclei: how many.
        median_volume_um3: their median volume, cubic micrometres; the area in square micrometres where `flat`.
        flat: the image is 2D.
    """

    uri: str
    labels_uri: str
    table_uri: str
    overview_uri: str
    provenance_uri: str
    nuclei: int
    median_volume_um3: float
    flat: bool = False


@dataclass(frozen=True)
class JobResult:
    """What a finished job produced.

    Attributes:
        images: what was written per image.
        nuclei: sum over the images.
        median_volume_um3: over all nuclei, cubic micrometres (square micrometres in 2D).
        model, model_digest: what the images were segmented with.
        warnings: what the user should know.
        models: registered models as `name@version`.
        files: URIs of other things that were written (pictures, records, packages).
    """

    images: tuple[ImageResult, ...] = ()
    nuclei: int = 0
    median_volume_um3: float = 0.0
    model: str = ""
    model_digest: str = ""
    warnings: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """A job as the store knows it. Times are UTC and aware; `trace` is the `traceparent` of its submission."""

    id: str
    spec: JobSpec
    state: JobState
    owner: str = ""
    group: str = ""
    priority: int = 0
    idempotency_key: str = ""
    attempts: int = 0
    created: datetime | None = None
    started: datetime | None = None
    finished: datetime | None = None
    cancel_requested: bool = False
    error: JobError | None = None
    result: JobResult | None = None
    trace: str = ""


class EventKind(StrEnum):
    STATE = "state"
    STAGE = "stage"
    PROGRESS = "progress"
    METRIC = "metric"
    LOG = "log"


@dataclass(frozen=True)
class Event:
    """One thing that happened to a job. `seq` counts from 1 per job without gaps and survives restarts.

    Payload by kind: state {state, error?, attempt?}; stage {name}; progress {stage, done, total, unit};
    metric {name, value}; log {level, message}.
    """

    job_id: str
    seq: int
    time: datetime
    kind: EventKind
    payload: dict[str, Any] = field(default_factory=dict)
