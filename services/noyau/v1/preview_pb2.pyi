from noyau.v1 import image_pb2 as _image_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PixelType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PIXEL_TYPE_UNSPECIFIED: _ClassVar[PixelType]
    PIXEL_TYPE_BOOL: _ClassVar[PixelType]
    PIXEL_TYPE_UINT8: _ClassVar[PixelType]
    PIXEL_TYPE_INT8: _ClassVar[PixelType]
    PIXEL_TYPE_UINT16: _ClassVar[PixelType]
    PIXEL_TYPE_INT16: _ClassVar[PixelType]
    PIXEL_TYPE_UINT32: _ClassVar[PixelType]
    PIXEL_TYPE_INT32: _ClassVar[PixelType]
    PIXEL_TYPE_FLOAT32: _ClassVar[PixelType]
    PIXEL_TYPE_FLOAT64: _ClassVar[PixelType]
PIXEL_TYPE_UNSPECIFIED: PixelType
PIXEL_TYPE_BOOL: PixelType
PIXEL_TYPE_UINT8: PixelType
PIXEL_TYPE_INT8: PixelType
PIXEL_TYPE_UINT16: PixelType
PIXEL_TYPE_INT16: PixelType
PIXEL_TYPE_UINT32: PixelType
PIXEL_TYPE_INT32: PixelType
PIXEL_TYPE_FLOAT32: PixelType
PIXEL_TYPE_FLOAT64: PixelType

class Pixels(_message.Message):
    __slots__ = ("type", "shape", "data")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    type: PixelType
    shape: _image_pb2.Size3
    data: bytes
    def __init__(self, type: _Optional[_Union[PixelType, str]] = ..., shape: _Optional[_Union[_image_pb2.Size3, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class PreviewRequest(_message.Message):
    __slots__ = ("image", "voxel_size", "model", "want_probability", "skip_labels", "device", "foreground", "min_volume")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    VOXEL_SIZE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    WANT_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    SKIP_LABELS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    FOREGROUND_FIELD_NUMBER: _ClassVar[int]
    MIN_VOLUME_FIELD_NUMBER: _ClassVar[int]
    image: Pixels
    voxel_size: _image_pb2.VoxelSize
    model: str
    want_probability: bool
    skip_labels: bool
    device: str
    foreground: float
    min_volume: float
    def __init__(self, image: _Optional[_Union[Pixels, _Mapping]] = ..., voxel_size: _Optional[_Union[_image_pb2.VoxelSize, _Mapping]] = ..., model: _Optional[str] = ..., want_probability: _Optional[bool] = ..., skip_labels: _Optional[bool] = ..., device: _Optional[str] = ..., foreground: _Optional[float] = ..., min_volume: _Optional[float] = ...) -> None: ...

class PreviewResponse(_message.Message):
    __slots__ = ("labels", "probability", "nuclei", "model", "model_digest")
    LABELS_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    NUCLEI_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    labels: Pixels
    probability: Pixels
    nuclei: int
    model: str
    model_digest: str
    def __init__(self, labels: _Optional[_Union[Pixels, _Mapping]] = ..., probability: _Optional[_Union[Pixels, _Mapping]] = ..., nuclei: _Optional[int] = ..., model: _Optional[str] = ..., model_digest: _Optional[str] = ...) -> None: ...
