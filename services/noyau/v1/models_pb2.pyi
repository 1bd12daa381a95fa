from google.protobuf import struct_pb2 as _struct_pb2
from noyau.v1 import image_pb2 as _image_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "version", "digest", "ndim", "architecture", "arguments", "voxel_size", "diameter", "halo", "stride", "tile", "normalisation", "decoder", "vote", "description", "licence", "metrics", "training")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    NDIM_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    VOXEL_SIZE_FIELD_NUMBER: _ClassVar[int]
    DIAMETER_FIELD_NUMBER: _ClassVar[int]
    HALO_FIELD_NUMBER: _ClassVar[int]
    STRIDE_FIELD_NUMBER: _ClassVar[int]
    TILE_FIELD_NUMBER: _ClassVar[int]
    NORMALISATION_FIELD_NUMBER: _ClassVar[int]
    DECODER_FIELD_NUMBER: _ClassVar[int]
    VOTE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    TRAINING_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    digest: str
    ndim: int
    architecture: str
    arguments: _struct_pb2.Struct
    voxel_size: _image_pb2.VoxelSize
    diameter: float
    halo: _image_pb2.Size3
    stride: _image_pb2.Size3
    tile: _image_pb2.Size3
    normalisation: Normalisation
    decoder: str
    vote: VoteParams
    description: str
    licence: str
    metrics: _struct_pb2.Struct
    training: _struct_pb2.Struct
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., digest: _Optional[str] = ..., ndim: _Optional[int] = ..., architecture: _Optional[str] = ..., arguments: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., voxel_size: _Optional[_Union[_image_pb2.VoxelSize, _Mapping]] = ..., diameter: _Optional[float] = ..., halo: _Optional[_Union[_image_pb2.Size3, _Mapping]] = ..., stride: _Optional[_Union[_image_pb2.Size3, _Mapping]] = ..., tile: _Optional[_Union[_image_pb2.Size3, _Mapping]] = ..., normalisation: _Optional[_Union[Normalisation, _Mapping]] = ..., decoder: _Optional[str] = ..., vote: _Optional[_Union[VoteParams, _Mapping]] = ..., description: _Optional[str] = ..., licence: _Optional[str] = ..., metrics: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., training: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class Normalisation(_message.Message):
    __slots__ = ("low", "high", "gain", "clip_low", "clip_high")
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    GAIN_FIELD_NUMBER: _ClassVar[int]
    CLIP_LOW_FIELD_NUMBER: _ClassVar[int]
    CLIP_HIGH_FIELD_NUMBER: _ClassVar[int]
    low: float
    high: float
    gain: float
    clip_low: float
    clip_high: float
    def __init__(self, low: _Optional[float] = ..., high: _Optional[float] = ..., gain: _Optional[float] = ..., clip_low: _Optional[float] = ..., clip_high: _Optional[float] = ...) -> None: ...

class VoteParams(_message.Message):
    __slots__ = ("foreground", "seed_mass", "nms", "weights", "radius", "max_offset", "min_voxels")
    FOREGROUND_FIELD_NUMBER: _ClassVar[int]
    SEED_MASS_FIELD_NUMBER: _ClassVar[int]
    NMS_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    RADIUS_FIELD_NUMBER: _ClassVar[int]
    MAX_OFFSET_FIELD_NUMBER: _ClassVar[int]
    MIN_VOXELS_FIELD_NUMBER: _ClassVar[int]
    foreground: float
    seed_mass: float
    nms: _image_pb2.Size3
    weights: _image_pb2.Size3
    radius: int
    max_offset: _image_pb2.Size3
    min_voxels: int
    def __init__(self, foreground: _Optional[float] = ..., seed_mass: _Optional[float] = ..., nms: _Optional[_Union[_image_pb2.Size3, _Mapping]] = ..., weights: _Optional[_Union[_image_pb2.Size3, _Mapping]] = ..., radius: _Optional[int] = ..., max_offset: _Optional[_Union[_image_pb2.Size3, _Mapping]] = ..., min_voxels: _Optional[int] = ...) -> None: ...
