import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
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
    __slots__ = ("models", "problems")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    problems: _containers.RepeatedCompositeFieldContainer[ModelProblem]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ..., problems: _Optional[_Iterable[_Union[ModelProblem, _Mapping]]] = ...) -> None: ...

class ModelProblem(_message.Message):
    __slots__ = ("what", "cause", "remedy")
    WHAT_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    what: str
    cause: str
    remedy: str
    def __init__(self, what: _Optional[str] = ..., cause: _Optional[str] = ..., remedy: _Optional[str] = ...) -> None: ...

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

class ModelHistoryRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ModelHistoryResponse(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[ModelEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[ModelEvent, _Mapping]]] = ...) -> None: ...

class ModelEvent(_message.Message):
    __slots__ = ("at", "by", "action", "version", "alias", "previous")
    AT_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    at: _timestamp_pb2.Timestamp
    by: str
    action: str
    version: str
    alias: str
    previous: str
    def __init__(self, at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., by: _Optional[str] = ..., action: _Optional[str] = ..., version: _Optional[str] = ..., alias: _Optional[str] = ..., previous: _Optional[str] = ...) -> None: ...

class Registration(_message.Message):
    __slots__ = ("name", "alias", "by", "key", "allow_torchscript", "objects")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    ALLOW_TORCHSCRIPT_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    alias: str
    by: str
    key: str
    allow_torchscript: bool
    objects: ObjectRule
    def __init__(self, name: _Optional[str] = ..., alias: _Optional[str] = ..., by: _Optional[str] = ..., key: _Optional[str] = ..., allow_torchscript: _Optional[bool] = ..., objects: _Optional[_Union[ObjectRule, _Mapping]] = ...) -> None: ...

class ObjectRule(_message.Message):
    __slots__ = ("kind", "output", "foreground", "border", "threshold")
    KIND_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    FOREGROUND_FIELD_NUMBER: _ClassVar[int]
    BORDER_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    kind: str
    output: int
    foreground: int
    border: int
    threshold: float
    def __init__(self, kind: _Optional[str] = ..., output: _Optional[int] = ..., foreground: _Optional[int] = ..., border: _Optional[int] = ..., threshold: _Optional[float] = ...) -> None: ...

class RegisterModelRequest(_message.Message):
    __slots__ = ("path", "registration")
    PATH_FIELD_NUMBER: _ClassVar[int]
    REGISTRATION_FIELD_NUMBER: _ClassVar[int]
    path: str
    registration: Registration
    def __init__(self, path: _Optional[str] = ..., registration: _Optional[_Union[Registration, _Mapping]] = ...) -> None: ...

class RegisterModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class UploadModelRequest(_message.Message):
    __slots__ = ("registration", "data")
    REGISTRATION_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    registration: Registration
    data: bytes
    def __init__(self, registration: _Optional[_Union[Registration, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class UploadModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class ExportModelRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class ExportModelResponse(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class CheckModelRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class CheckModelResponse(_message.Message):
    __slots__ = ("model", "elements")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ELEMENTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    elements: _containers.RepeatedCompositeFieldContainer[ModelElement]
    def __init__(self, model: _Optional[str] = ..., elements: _Optional[_Iterable[_Union[ModelElement, _Mapping]]] = ...) -> None: ...

class ModelElement(_message.Message):
    __slots__ = ("name", "present", "where", "why", "purpose")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PRESENT_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    name: str
    present: bool
    where: str
    why: str
    purpose: str
    def __init__(self, name: _Optional[str] = ..., present: _Optional[bool] = ..., where: _Optional[str] = ..., why: _Optional[str] = ..., purpose: _Optional[str] = ...) -> None: ...

class SetModelAliasRequest(_message.Message):
    __slots__ = ("name", "alias", "version", "by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    alias: str
    version: str
    by: str
    def __init__(self, name: _Optional[str] = ..., alias: _Optional[str] = ..., version: _Optional[str] = ..., by: _Optional[str] = ...) -> None: ...

class SetModelAliasResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class RollbackModelRequest(_message.Message):
    __slots__ = ("name", "alias", "by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    alias: str
    by: str
    def __init__(self, name: _Optional[str] = ..., alias: _Optional[str] = ..., by: _Optional[str] = ...) -> None: ...

class RollbackModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class RemoveModelRequest(_message.Message):
    __slots__ = ("model", "by")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    model: str
    by: str
    def __init__(self, model: _Optional[str] = ..., by: _Optional[str] = ...) -> None: ...

class RemoveModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "version", "digest", "ndim", "architecture", "arguments", "voxel_size", "diameter", "halo", "stride", "tile", "normalisation", "decoder", "vote", "description", "licence", "metrics", "training", "kind", "processing", "author", "cite", "parent", "software", "aliases", "origin", "registered_by", "registered", "parameters", "unbounded")
    class SoftwareEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
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
    KIND_FIELD_NUMBER: _ClassVar[int]
    PROCESSING_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    CITE_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_BY_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    UNBOUNDED_FIELD_NUMBER: _ClassVar[int]
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
    kind: str
    processing: _struct_pb2.Struct
    author: str
    cite: _containers.RepeatedScalarFieldContainer[str]
    parent: str
    software: _containers.ScalarMap[str, str]
    aliases: _containers.RepeatedScalarFieldContainer[str]
    origin: str
    registered_by: str
    registered: _timestamp_pb2.Timestamp
    parameters: _struct_pb2.Struct
    unbounded: bool
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., digest: _Optional[str] = ..., ndim: _Optional[int] = ..., architecture: _Optional[str] = ..., arguments: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., voxel_size: _Optional[_Union[_image_pb2.VoxelSize, _Mapping]] = ..., diameter: _Optional[float] = ..., halo: _Optional[_Union[_image_pb2.Size3, _Mapping]] = ..., stride: _Optional[_Union[_image_pb2.Size3, _Mapping]] = ..., tile: _Optional[_Union[_image_pb2.Size3, _Mapping]] = ..., normalisation: _Optional[_Union[Normalisation, _Mapping]] = ..., decoder: _Optional[str] = ..., vote: _Optional[_Union[VoteParams, _Mapping]] = ..., description: _Optional[str] = ..., licence: _Optional[str] = ..., metrics: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., training: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., kind: _Optional[str] = ..., processing: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., author: _Optional[str] = ..., cite: _Optional[_Iterable[str]] = ..., parent: _Optional[str] = ..., software: _Optional[_Mapping[str, str]] = ..., aliases: _Optional[_Iterable[str]] = ..., origin: _Optional[str] = ..., registered_by: _Optional[str] = ..., registered: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., parameters: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., unbounded: _Optional[bool] = ...) -> None: ...

class Normalisation(_message.Message):
    __slots__ = ("low", "high", "gain", "clip_low", "clip_high", "steps", "inverted")
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    GAIN_FIELD_NUMBER: _ClassVar[int]
    CLIP_LOW_FIELD_NUMBER: _ClassVar[int]
    CLIP_HIGH_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    INVERTED_FIELD_NUMBER: _ClassVar[int]
    low: float
    high: float
    gain: float
    clip_low: float
    clip_high: float
    steps: _containers.RepeatedCompositeFieldContainer[_struct_pb2.Struct]
    inverted: bool
    def __init__(self, low: _Optional[float] = ..., high: _Optional[float] = ..., gain: _Optional[float] = ..., clip_low: _Optional[float] = ..., clip_high: _Optional[float] = ..., steps: _Optional[_Iterable[_Union[_struct_pb2.Struct, _Mapping]]] = ..., inverted: _Optional[bool] = ...) -> None: ...

class VoteParams(_message.Message):
    __slots__ = ("foreground", "seed_mass", "nms", "weights", "radius", "max_offset", "min_voxels", "smooth", "rival_radius", "rival_percent", "min_certainty")
    FOREGROUND_FIELD_NUMBER: _ClassVar[int]
    SEED_MASS_FIELD_NUMBER: _ClassVar[int]
    NMS_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    RADIUS_FIELD_NUMBER: _ClassVar[int]
    MAX_OFFSET_FIELD_NUMBER: _ClassVar[int]
    MIN_VOXELS_FIELD_NUMBER: _ClassVar[int]
    SMOOTH_FIELD_NUMBER: _ClassVar[int]
    RIVAL_RADIUS_FIELD_NUMBER: _ClassVar[int]
    RIVAL_PERCENT_FIELD_NUMBER: _ClassVar[int]
    MIN_CERTAINTY_FIELD_NUMBER: _ClassVar[int]
    foreground: float
    seed_mass: float
    nms: _image_pb2.Size3
    weights: _image_pb2.Size3
    radius: int
    max_offset: _image_pb2.Size3
    min_voxels: int
    smooth: _image_pb2.Size3
    rival_radius: int
    rival_percent: int
    min_certainty: float
    def __init__(self, foreground: _Optional[float] = ..., seed_mass: _Optional[float] = ..., nms: _Optional[_Union[_image_pb2.Size3, _Mapping]] = ..., weights: _Optional[_Union[_image_pb2.Size3, _Mapping]] = ..., radius: _Optional[int] = ..., max_offset: _Optional[_Union[_image_pb2.Size3, _Mapping]] = ..., min_voxels: _Optional[int] = ..., smooth: _Optional[_Union[_image_pb2.Size3, _Mapping]] = ..., rival_radius: _Optional[int] = ..., rival_percent: _Optional[int] = ..., min_certainty: _Optional[float] = ...) -> None: ...
