"""Model descriptions on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from noyau.api.wire.images import size_from_wire, size_to_wire, voxel_size_from_wire, voxel_size_to_wire
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
        arguments=_struct(info.arguments),
        voxel_size=voxel_size_to_wire(info.voxel_size),
        diameter=info.diameter,
        halo=size_to_wire(info.halo),
        stride=size_to_wire(info.stride),
        tile=size_to_wire(info.tile),
        normalisation=models_pb2.Normalisation(
            low=norm.low, high=norm.high, gain=norm.gain, clip_low=norm.clip[0], clip_high=norm.clip[1]
        ),
        decoder=info.decoder,
        vote=_vote_to_wire(info.vote),
        description=info.description,
        licence=info.licence,
        metrics=_struct(info.metrics),
        training=_struct(info.training),
    )


def model_from_wire(message: models_pb2.Model) -> ModelInfo:
    norm = message.normalisation
    return ModelInfo(
        name=message.name,
        version=message.version,
        digest=message.digest,
        ndim=message.ndim,
        architecture=message.architecture,
        arguments=_mapping(message.arguments),
        voxel_size=voxel_size_from_wire(message.voxel_size) if message.HasField("voxel_size") else None,
        diameter=message.diameter,
        halo=size_from_wire(message.halo),
        stride=size_from_wire(message.stride),
        tile=size_from_wire(message.tile),
        normalisation=Normalisation(norm.low, norm.high, norm.gain, (norm.clip_low, norm.clip_high)),
        decoder=message.decoder,
        vote=_vote_from_wire(message.vote),
        description=message.description,
        licence=message.licence,
        metrics=_mapping(message.metrics),
        training=_mapping(message.training),
    )


def _vote_to_wire(vote: VoteParams) -> models_pb2.VoteParams:
    return models_pb2.VoteParams(
        foreground=vote.foreground,
        seed_mass=vote.seed_mass,
        nms=size_to_wire(vote.nms),
        weights=size_to_wire(vote.weights),
        radius=vote.radius,
        max_offset=size_to_wire(vote.max_offset),
        min_voxels=vote.min_voxels,
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
    )


def _struct(values: Mapping[str, Any]) -> Struct:
    message = Struct()
    json_format.ParseDict(_plain(values), message)
    return message


def _plain(value: Any) -> Any:
    """Lists for tuples and strings for what JSON has no word for, so that no package can break the answer."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and value == value and abs(value) != float("inf"):
        return value
    return str(value)


def _mapping(message: Struct) -> dict[str, Any]:
    return {key: _whole(item) for key, item in json_format.MessageToDict(message).items()}


def _whole(value: Any) -> Any:
    """A Struct knows only floats; whole numbers become ints again."""
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
