from noyau.v1 import image_pb2 as _image_pb2
from noyau.v1 import training_specs_pb2 as _training_specs_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JobSpec(_message.Message):
    __slots__ = ("segment", "measure", "train", "suggest", "synth")
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    TRAIN_FIELD_NUMBER: _ClassVar[int]
    SUGGEST_FIELD_NUMBER: _ClassVar[int]
    SYNTH_FIELD_NUMBER: _ClassVar[int]
    segment: SegmentSpec
    measure: MeasureSpec
    train: _training_specs_pb2.TrainSpec
    suggest: _training_specs_pb2.SuggestSpec
    synth: _training_specs_pb2.SynthSpec
    def __init__(self, segment: _Optional[_Union[SegmentSpec, _Mapping]] = ..., measure: _Optional[_Union[MeasureSpec, _Mapping]] = ..., train: _Optional[_Union[_training_specs_pb2.TrainSpec, _Mapping]] = ..., suggest: _Optional[_Union[_training_specs_pb2.SuggestSpec, _Mapping]] = ..., synth: _Optional[_Union[_training_specs_pb2.SynthSpec, _Mapping]] = ...) -> None: ...

class SegmentSpec(_message.Message):
    __slots__ = ("images", "model", "labels", "output", "voxel_size", "diameter", "tile", "batch", "device", "backend", "foreground", "min_volume", "skip_measurement", "overwrite", "workers", "fill_missing", "fit_diameter", "rois", "label_image")
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    VOXEL_SIZE_FIELD_NUMBER: _ClassVar[int]
    DIAMETER_FIELD_NUMBER: _ClassVar[int]
    TILE_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    FOREGROUND_FIELD_NUMBER: _ClassVar[int]
    MIN_VOLUME_FIELD_NUMBER: _ClassVar[int]
    SKIP_MEASUREMENT_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    FILL_MISSING_FIELD_NUMBER: _ClassVar[int]
    FIT_DIAMETER_FIELD_NUMBER: _ClassVar[int]
    ROIS_FIELD_NUMBER: _ClassVar[int]
    LABEL_IMAGE_FIELD_NUMBER: _ClassVar[int]
    images: _containers.RepeatedCompositeFieldContainer[_image_pb2.ImageRef]
    model: str
    labels: str
    output: str
    voxel_size: _image_pb2.VoxelSize
    diameter: float
    tile: _image_pb2.Size3
    batch: int
    device: str
    backend: str
    foreground: float
    min_volume: float
    skip_measurement: bool
    overwrite: bool
    workers: int
    fill_missing: bool
    fit_diameter: bool
    rois: str
    label_image: str
    def __init__(self, images: _Optional[_Iterable[_Union[_image_pb2.ImageRef, _Mapping]]] = ..., model: _Optional[str] = ..., labels: _Optional[str] = ..., output: _Optional[str] = ..., voxel_size: _Optional[_Union[_image_pb2.VoxelSize, _Mapping]] = ..., diameter: _Optional[float] = ..., tile: _Optional[_Union[_image_pb2.Size3, _Mapping]] = ..., batch: _Optional[int] = ..., device: _Optional[str] = ..., backend: _Optional[str] = ..., foreground: _Optional[float] = ..., min_volume: _Optional[float] = ..., skip_measurement: _Optional[bool] = ..., overwrite: _Optional[bool] = ..., workers: _Optional[int] = ..., fill_missing: _Optional[bool] = ..., fit_diameter: _Optional[bool] = ..., rois: _Optional[str] = ..., label_image: _Optional[str] = ...) -> None: ...

class MeasureSpec(_message.Message):
    __slots__ = ("images", "labels", "channels", "output", "voxel_size", "overwrite")
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    VOXEL_SIZE_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    images: _containers.RepeatedCompositeFieldContainer[_image_pb2.ImageRef]
    labels: str
    channels: _containers.RepeatedCompositeFieldContainer[_image_pb2.ChannelRef]
    output: str
    voxel_size: _image_pb2.VoxelSize
    overwrite: bool
    def __init__(self, images: _Optional[_Iterable[_Union[_image_pb2.ImageRef, _Mapping]]] = ..., labels: _Optional[str] = ..., channels: _Optional[_Iterable[_Union[_image_pb2.ChannelRef, _Mapping]]] = ..., output: _Optional[str] = ..., voxel_size: _Optional[_Union[_image_pb2.VoxelSize, _Mapping]] = ..., overwrite: _Optional[bool] = ...) -> None: ...
