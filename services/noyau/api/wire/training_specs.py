"""Training, suggestion and synthesis specifications on the wire."""

from __future__ import annotations

from types import MappingProxyType

from noyau.api.wire.images import (
    image_from_wire,
    image_to_wire,
    size_from_wire,
    size_to_wire,
    voxel_size_from_wire,
    voxel_size_to_wire,
)
from noyau.api.wire.structs import struct_from_wire, struct_to_wire
from noyau.domain.errors import InvalidInput
from noyau.domain.training_jobs import OnBadPair, SuggestSpec, SynthSpec, TrainMode, TrainSpec
from noyau.v1 import training_specs_pb2 as pb

_MODES: MappingProxyType[pb.TrainMode, TrainMode] = MappingProxyType(
    {pb.TRAIN_MODE_SCRATCH: "scratch", pb.TRAIN_MODE_FINETUNE: "finetune", pb.TRAIN_MODE_PRETRAIN: "pretrain"}
)
_ON_BAD_PAIR: MappingProxyType[pb.OnBadPair, OnBadPair] = MappingProxyType(
    {pb.ON_BAD_PAIR_UNSPECIFIED: "stop", pb.ON_BAD_PAIR_STOP: "stop", pb.ON_BAD_PAIR_SKIP: "skip"}
)


def train_to_wire(spec: TrainSpec) -> pb.TrainSpec:
    return pb.TrainSpec(
        name=spec.name,
        data=spec.data,
        parent=spec.parent,
        mode=f"TRAIN_MODE_{spec.mode.upper()}",
        ndim=spec.ndim,
        voxel_size=voxel_size_to_wire(spec.voxel_size),
        val=spec.val,
        val_percent=spec.val_percent,
        minutes=spec.minutes,
        steps=spec.steps,
        synthetic_count=spec.synthetic_count,
        synthetic_fraction=spec.synthetic_fraction,
        overrides=struct_to_wire(spec.overrides),
        labels=spec.labels,
        device=spec.device,
        processes=spec.processes,
        seed=spec.seed,
        on_bad_pair=f"ON_BAD_PAIR_{spec.on_bad_pair.upper()}",
        alias=spec.alias,
        description=spec.description,
        licence=spec.licence,
    )


def train_from_wire(message: pb.TrainSpec) -> TrainSpec:
    """Raises InvalidInput for a mode or a way with bad pairs that this version does not know."""
    if message.on_bad_pair not in _ON_BAD_PAIR:
        raise InvalidInput(f"{message.on_bad_pair} is no way to treat bad pairs.", "Use the values of OnBadPair.")
    parent = message.parent if message.HasField("parent") else None
    return TrainSpec(
        name=message.name,
        data=tuple(message.data),
        parent=parent,
        mode=_mode(message.mode, parent),
        ndim=message.ndim if message.HasField("ndim") else None,
        voxel_size=voxel_size_from_wire(message.voxel_size) if message.HasField("voxel_size") else None,
        val=tuple(message.val),
        val_percent=message.val_percent,
        minutes=message.minutes if message.HasField("minutes") else None,
        steps=message.steps if message.HasField("steps") else None,
        synthetic_count=message.synthetic_count,
        synthetic_fraction=message.synthetic_fraction,
        overrides=struct_from_wire(message.overrides),
        labels=message.labels or "nuclei",
        device=message.device or "auto",
        processes=message.processes or 1,
        seed=message.seed,
        on_bad_pair=_ON_BAD_PAIR[message.on_bad_pair],
        alias=message.alias if message.HasField("alias") else None,
        description=message.description,
        licence=message.licence,
    )


def _mode(value: pb.TrainMode, parent: str | None) -> TrainMode:
    if value == pb.TRAIN_MODE_UNSPECIFIED:
        return "scratch" if parent is None else "finetune"
    if value not in _MODES:
        raise InvalidInput(f"{value} is no mode of training.", "Use the values of TrainMode.")
    return _MODES[value]


def suggest_to_wire(spec: SuggestSpec) -> pb.SuggestSpec:
    return pb.SuggestSpec(
        images=[image_to_wire(ref) for ref in spec.images],
        output=spec.output,
        model=spec.model,
        count=spec.count,
        crop=size_to_wire(spec.crop),
        voxel_size=voxel_size_to_wire(spec.voxel_size),
        device=spec.device,
        seed=spec.seed,
        overwrite=spec.overwrite,
    )


def suggest_from_wire(message: pb.SuggestSpec) -> SuggestSpec:
    return SuggestSpec(
        images=tuple(image_from_wire(image) for image in message.images),
        output=message.output,
        model=message.model if message.HasField("model") else None,
        count=message.count or 10,
        crop=size_from_wire(message.crop) if message.HasField("crop") else None,
        voxel_size=voxel_size_from_wire(message.voxel_size) if message.HasField("voxel_size") else None,
        device=message.device or "auto",
        seed=message.seed,
        overwrite=message.overwrite,
    )


def synth_to_wire(spec: SynthSpec) -> pb.SynthSpec:
    return pb.SynthSpec(
        output=spec.output,
        ndim=spec.ndim,
        count=spec.count,
        recipe=spec.recipe,
        seed=spec.seed,
        voxel_size=voxel_size_to_wire(spec.voxel_size),
        shape=size_to_wire(spec.shape),
        skip_previews=not spec.previews,
        nuclei=spec.nuclei,
        density=spec.density,
        fmt=spec.fmt,
        overwrite=spec.overwrite,
    )


def synth_from_wire(message: pb.SynthSpec) -> SynthSpec:
    return SynthSpec(
        output=message.output,
        ndim=message.ndim or 3,
        count=message.count or 1,
        recipe=message.recipe or "wide",
        seed=message.seed,
        voxel_size=voxel_size_from_wire(message.voxel_size) if message.HasField("voxel_size") else None,
        shape=size_from_wire(message.shape) if message.HasField("shape") else None,
        previews=not message.skip_previews,
        nuclei=message.nuclei if message.HasField("nuclei") else None,
        density=message.density if message.HasField("density") else None,
        fmt=message.fmt if message.HasField("fmt") else None,
        overwrite=message.overwrite,
    )
