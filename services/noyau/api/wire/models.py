"""Model descriptions on the wire."""

from __future__ import annotations

from datetime import UTC, datetime

from noyau.api.wire.images import size_from_wire, size_to_wire, voxel_size_from_wire, voxel_size_to_wire
from noyau.api.wire.jobs import time_from_wire, time_to_wire
from noyau.api.wire.structs import struct_from_wire, struct_to_wire
from noyau.domain.model import ModelInfo, Normalisation, VoteParams
from noyau.v1 import models_pb2


def model_to_wire(info: ModelInfo) -> models_pb2.Model:
    norm = info.normalisation
    return models_pb2.Model(
        name=info.name,
        version=info.version,
        digest=info.digest,
        ndim=info.ndim,
        architecture=info.architecture,
        arguments=struct_to_wire(info.arguments),
        voxel_size=voxel_size_to_wire(info.voxel_size),
        diameter=info.diameter,
        halo=size_to_wire(info.halo),
        stride=size_to_wire(info.stride),
        tile=size_to_wire(info.tile),
        normalisation=models_pb2.Normalisation(
            low=norm.low,
            high=norm.high,
            gain=norm.gain,
            clip_low=norm.clip[0],
            clip_high=norm.clip[1],
            steps=map(struct_to_wire, norm.steps),
            inverted=norm.inverted,
        ),
        decoder=info.decoder,
        vote=_vote_to_wire(info.vote),
        description=info.description,
        licence=info.licence,
        metrics=struct_to_wire(info.metrics),
        training=struct_to_wire(info.training),
        kind=info.kind,
        processing=struct_to_wire(info.processing),
        author=info.author,
        cite=info.cite,
        parent=info.parent,
        software=info.software,
        registered_by=str(info.registered.get("by", "")),
        registered=time_to_wire(_time(info.registered.get("at"))),
        parameters=struct_to_wire(info.parameters),
        unbounded=not info.bounded,
    )


def model_from_wire(message: models_pb2.Model) -> ModelInfo:
    norm = message.normalisation
    return ModelInfo(
        name=message.name,
        version=message.version,
        digest=message.digest,
        ndim=message.ndim,
        architecture=message.architecture,
        arguments=struct_from_wire(message.arguments),
        voxel_size=voxel_size_from_wire(message.voxel_size) if message.HasField("voxel_size") else None,
        diameter=message.diameter,
        halo=size_from_wire(message.halo),
        stride=size_from_wire(message.stride),
        tile=size_from_wire(message.tile),
        normalisation=Normalisation(
            low=norm.low,
            high=norm.high,
            gain=norm.gain,
            clip=(norm.clip_low, norm.clip_high),
            steps=tuple(map(struct_from_wire, norm.steps)),
            inverted=norm.inverted,
        ),
        decoder=message.decoder,
        vote=_vote_from_wire(message.vote),
        description=message.description,
        licence=message.licence,
        metrics=struct_from_wire(message.metrics),
        training=struct_from_wire(message.training),
        kind=message.kind,
        processing=struct_from_wire(message.processing),
        author=message.author,
        cite=tuple(message.cite),
        parent=message.parent,
        registered=_registered(message),
        software=dict(message.software),
        parameters=struct_from_wire(message.parameters),
        bounded=not message.unbounded,
    )


def _registered(message: models_pb2.Model) -> dict[str, str]:
    if not message.HasField("registered"):
        return {}
    return {"by": message.registered_by, "at": time_from_wire(message.registered).isoformat()}


def _time(text: object) -> datetime | None:
    """The time that a package gives; None where it is none, since anybody may have written it."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) else None
    except (ValueError, OverflowError):
        return None


def _vote_to_wire(vote: VoteParams) -> models_pb2.VoteParams:
    return models_pb2.VoteParams(
        foreground=vote.foreground,
        seed_mass=vote.seed_mass,
        nms=size_to_wire(vote.nms),
        weights=size_to_wire(vote.weights),
        radius=vote.radius,
        max_offset=size_to_wire(vote.max_offset),
        min_voxels=vote.min_voxels,
        smooth=size_to_wire(vote.smooth),
        rival_radius=vote.rival_radius,
        rival_percent=vote.rival_percent,
        min_certainty=vote.min_certainty,
    )


def _vote_from_wire(message: models_pb2.VoteParams) -> VoteParams:
    return VoteParams(
        foreground=message.foreground,
        seed_mass=message.seed_mass,
        nms=size_from_wire(message.nms),
        weights=size_from_wire(message.weights),
        radius=message.radius,
        max_offset=size_from_wire(message.max_offset),
        min_voxels=message.min_voxels,
        smooth=size_from_wire(message.smooth),
        rival_radius=message.rival_radius,
        rival_percent=message.rival_percent,
        min_certainty=message.min_certainty,
    )
