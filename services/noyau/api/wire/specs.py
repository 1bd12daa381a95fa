"""Job specifications on the wire: one branch of the oneof per task."""

from __future__ import annotations

from typing import cast, get_args

from noyau.api.wire.images import (
    channel_from_wire,
    channel_to_wire,
    image_from_wire,
    image_to_wire,
    size_from_wire,
    size_to_wire,
    voxel_size_from_wire,
    voxel_size_to_wire,
)
from noyau.api.wire.training_specs import (
    suggest_from_wire,
    suggest_to_wire,
    synth_from_wire,
    synth_to_wire,
    train_from_wire,
    train_to_wire,
)
from noyau.domain.errors import InvalidInput
from noyau.domain.jobs import JobSpec, LabelImage, MeasureSpec, Rois, SegmentSpec
from noyau.domain.training_jobs import SuggestSpec, TrainSpec
from noyau.v1 import specs_pb2

DEFAULT_LABELS = "nuclei"


def spec_to_wire(spec: JobSpec) -> specs_pb2.JobSpec:
    if isinstance(spec, SegmentSpec):
        return specs_pb2.JobSpec(segment=_segment_to_wire(spec))
    if isinstance(spec, MeasureSpec):
        return specs_pb2.JobSpec(measure=_measure_to_wire(spec))
    if isinstance(spec, TrainSpec):
        return specs_pb2.JobSpec(train=train_to_wire(spec))
    if isinstance(spec, SuggestSpec):
        return specs_pb2.JobSpec(suggest=suggest_to_wire(spec))
    return specs_pb2.JobSpec(synth=synth_to_wire(spec))


def spec_from_wire(message: specs_pb2.JobSpec) -> JobSpec:
    """Raises InvalidInput where the message names no task that this service knows, or a voxel size is not positive."""
    match message.WhichOneof("task"):
        case "segment":
            return _segment_from_wire(message.segment)
        case "measure":
            return _measure_from_wire(message.measure)
        case "train":
            return train_from_wire(message.train)
        case "suggest":
            return suggest_from_wire(message.suggest)
        case "synth":
            return synth_from_wire(message.synth)
    raise InvalidInput(
        "The job names no task that this service knows.",
        "Set one of the fields segment, measure, train, suggest or synth of JobSpec.",
    )


def _segment_to_wire(spec: SegmentSpec) -> specs_pb2.SegmentSpec:
    return specs_pb2.SegmentSpec(
        images=[image_to_wire(ref) for ref in spec.images],
        model=spec.model,
        labels=spec.labels,
        output=spec.output,
        voxel_size=voxel_size_to_wire(spec.voxel_size),
        diameter=spec.diameter,
        tile=size_to_wire(spec.tile),
        batch=spec.batch,
        device=spec.device,
        backend=spec.backend,
        foreground=spec.foreground,
        min_volume=spec.min_volume,
        skip_measurement=not spec.measure,
        overwrite=spec.overwrite,
        workers=spec.workers,
        fill_missing=spec.fill_missing,
        fit_diameter=spec.fit_diameter,
        rois=spec.rois,
        label_image=spec.label_image,
    )


def _segment_from_wire(message: specs_pb2.SegmentSpec) -> SegmentSpec:
    return SegmentSpec(
        images=tuple(image_from_wire(image) for image in message.images),
        model=message.model if message.HasField("model") else None,
        labels=message.labels or DEFAULT_LABELS,
        output=message.output if message.HasField("output") else None,
        voxel_size=voxel_size_from_wire(message.voxel_size) if message.HasField("voxel_size") else None,
        diameter=message.diameter if message.HasField("diameter") else None,
        tile=size_from_wire(message.tile) if message.HasField("tile") else None,
        batch=message.batch if message.HasField("batch") else None,
        device=message.device or "auto",
        backend=message.backend or "auto",
        foreground=message.foreground if message.HasField("foreground") else None,
        min_volume=message.min_volume if message.HasField("min_volume") else None,
        measure=not message.skip_measurement,
        overwrite=message.overwrite,
        workers=message.workers if message.HasField("workers") else None,
        fill_missing=message.fill_missing,
        fit_diameter=message.fit_diameter if message.HasField("fit_diameter") else None,
        rois=cast(Rois, _one_of("rois", message.rois, get_args(Rois))),
        label_image=cast(LabelImage, _one_of("label_image", message.label_image, get_args(LabelImage))),
    )


def _one_of(name: str, text: str, known: tuple[str, ...]) -> str:
    """The first of the known words where none is given. Raises InvalidInput."""
    if text and text not in known:
        raise InvalidInput(f"'{text[:100]}' is no value of {name}.", f"Known are {', '.join(known)}.")
    return text or known[0]


def _measure_to_wire(spec: MeasureSpec) -> specs_pb2.MeasureSpec:
    return specs_pb2.MeasureSpec(
        images=[image_to_wire(ref) for ref in spec.images],
        labels=spec.labels,
        channels=[channel_to_wire(channel) for channel in spec.channels],
        output=spec.output,
        voxel_size=voxel_size_to_wire(spec.voxel_size),
        overwrite=spec.overwrite,
    )


def _measure_from_wire(message: specs_pb2.MeasureSpec) -> MeasureSpec:
    return MeasureSpec(
        images=tuple(image_from_wire(image) for image in message.images),
        labels=message.labels or DEFAULT_LABELS,
        channels=tuple(channel_from_wire(channel) for channel in message.channels),
        output=message.output if message.HasField("output") else None,
        voxel_size=voxel_size_from_wire(message.voxel_size) if message.HasField("voxel_size") else None,
        overwrite=message.overwrite,
    )
