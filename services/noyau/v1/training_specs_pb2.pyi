from google.protobuf import struct_pb2 as _struct_pb2
from noyau.v1 import image_pb2 as _image_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TrainMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRAIN_MODE_UNSPECIFIED: _ClassVar[TrainMode]
    TRAIN_MODE_SCRATCH: _ClassVar[TrainMode]
    TRAIN_MODE_FINETUNE: _ClassVar[TrainMode]
    TRAIN_MODE_PRETRAIN: _ClassVar[TrainMode]

class OnBadPair(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ON_BAD_PAIR_UNSPECIFIED: _ClassVar[OnBadPair]
    ON_BAD_PAIR_STOP: _ClassVar[OnBadPair]
    ON_BAD_PAIR_SKIP: _ClassVar[OnBadPair]
TRAIN_MODE_UNSPECIFIED: TrainMode
TRAIN_MODE_SCRATCH: TrainMode
TRAIN_MODE_FINETUNE: TrainMode
TRAIN_MODE_PRETRAIN: TrainMode
ON_BAD_PAIR_UNSPECIFIED: OnBadPair
ON_BAD_PAIR_STOP: OnBadPair
ON_BAD_PAIR_SKIP: OnBadPair

class TrainSpec(_message.Message):
    __slots__ = ("name", "data", "parent", "mode", "ndim", "voxel_size", "val", "val_percent", "minutes", "steps", "synthetic_count", "synthetic_fraction", "overrides", "labels", "device", "processes", "seed", "on_bad_pair", "alias", "description", "licence")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    NDIM_FIELD_NUMBER: _ClassVar[int]
    VOXEL_SIZE_FIELD_NUMBER: _ClassVar[int]
    VAL_FIELD_NUMBER: _ClassVar[int]
    VAL_PERCENT_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    SYNTHETIC_COUNT_FIELD_NUMBER: _ClassVar[int]
    SYNTHETIC_FRACTION_FIELD_NUMBER: _ClassVar[int]
    OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    ON_BAD_PAIR_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    data: _containers.RepeatedScalarFieldContainer[str]
    parent: str
    mode: TrainMode
    ndim: int
    voxel_size: _image_pb2.VoxelSize
    val: _containers.RepeatedScalarFieldContainer[str]
    val_percent: int
    minutes: float
    steps: int
    synthetic_count: int
    synthetic_fraction: float
    overrides: _struct_pb2.Struct
    labels: str
    device: str
    processes: int
    seed: int
    on_bad_pair: OnBadPair
    alias: str
    description: str
    licence: str
    def __init__(self, name: _Optional[str] = ..., data: _Optional[_Iterable[str]] = ..., parent: _Optional[str] = ..., mode: _Optional[_Union[TrainMode, str]] = ..., ndim: _Optional[int] = ..., voxel_size: _Optional[_Union[_image_pb2.VoxelSize, _Mapping]] = ..., val: _Optional[_Iterable[str]] = ..., val_percent: _Optional[int] = ..., minutes: _Optional[float] = ..., steps: _Optional[int] = ..., synthetic_count: _Optional[int] = ..., synthetic_fraction: _Optional[float] = ..., overrides: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., labels: _Optional[str] = ..., device: _Optional[str] = ..., processes: _Optional[int] = ..., seed: _Optional[int] = ..., on_bad_pair: _Optional[_Union[OnBadPair, str]] = ..., alias: _Optional[str] = ..., description: _Optional[str] = ..., licence: _Optional[str] = ...) -> None: ...

class SuggestSpec(_message.Message):
    __slots__ = ("images", "output", "model", "count", "crop", "voxel_size", "device", "seed", "overwrite")
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    CROP_FIELD_NUMBER: _ClassVar[int]
    VOXEL_SIZE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    images: _containers.RepeatedCompositeFieldContainer[_image_pb2.ImageRef]
    output: str
    model: str
    count: int
    crop: _image_pb2.Size3
    voxel_size: _image_pb2.VoxelSize
    device: str
    seed: int
    overwrite: bool
    def __init__(self, images: _Optional[_Iterable[_Union[_image_pb2.ImageRef, _Mapping]]] = ..., output: _Optional[str] = ..., model: _Optional[str] = ..., count: _Optional[int] = ..., crop: _Optional[_Union[_image_pb2.Size3, _Mapping]] = ..., voxel_size: _Optional[_Union[_image_pb2.VoxelSize, _Mapping]] = ..., device: _Optional[str] = ..., seed: _Optional[int] = ..., overwrite: _Optional[bool] = ...) -> None: ...

class SynthSpec(_message.Message):
    __slots__ = ("output", "ndim", "count", "recipe", "seed", "voxel_size", "shape", "skip_previews", "nuclei", "density", "fmt", "overwrite")
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    NDIM_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    RECIPE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    VOXEL_SIZE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    SKIP_PREVIEWS_FIELD_NUMBER: _ClassVar[int]
    NUCLEI_FIELD_NUMBER: _ClassVar[int]
    DENSITY_FIELD_NUMBER: _ClassVar[int]
    FMT_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    output: str
    ndim: int
    count: int
    recipe: str
    seed: int
    voxel_size: _image_pb2.VoxelSize
    shape: _image_pb2.Size3
    skip_previews: bool
    nuclei: int
    density: float
    fmt: str
    overwrite: bool
    def __init__(self, output: _Optional[str] = ..., ndim: _Optional[int] = ..., count: _Optional[int] = ..., recipe: _Optional[str] = ..., seed: _Optional[int] = ..., voxel_size: _Optional[_Union[_image_pb2.VoxelSize, _Mapping]] = ..., shape: _Optional[_Union[_image_pb2.Size3, _Mapping]] = ..., skip_previews: _Optional[bool] = ..., nuclei: _Optional[int] = ..., density: _Optional[float] = ..., fmt: _Optional[str] = ..., overwrite: _Optional[bool] = ...) -> None: ...
