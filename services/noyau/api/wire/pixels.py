"""Blocks of pixels on the wire: little endian, C order, z/y/x."""

from __future__ import annotations

from math import prod

import numpy as np

from noyau.api.wire.images import size_from_wire
from noyau.domain.errors import InvalidInput
from noyau.v1 import image_pb2, preview_pb2

_TYPES = {
    preview_pb2.PIXEL_TYPE_BOOL: np.dtype("bool"),
    preview_pb2.PIXEL_TYPE_UINT8: np.dtype("uint8"),
    preview_pb2.PIXEL_TYPE_INT8: np.dtype("int8"),
    preview_pb2.PIXEL_TYPE_UINT16: np.dtype("<u2"),
    preview_pb2.PIXEL_TYPE_INT16: np.dtype("<i2"),
    preview_pb2.PIXEL_TYPE_UINT32: np.dtype("<u4"),
    preview_pb2.PIXEL_TYPE_INT32: np.dtype("<i4"),
    preview_pb2.PIXEL_TYPE_FLOAT32: np.dtype("<f4"),
    preview_pb2.PIXEL_TYPE_FLOAT64: np.dtype("<f8"),
}


def pixels_to_wire(block: np.ndarray) -> preview_pb2.Pixels:
    """A 2D (y, x) or 3D (z, y, x) array; a plane travels with z = 1.

    Raises:
        InvalidInput: another number of dimensions, or a type that has no name on the wire.
    """
    if block.ndim not in (2, 3):
        raise InvalidInput(f"A crop has 2 or 3 dimensions, not {block.ndim}.")
    for number, dtype in _TYPES.items():
        if dtype == block.dtype.newbyteorder("<"):
            z, y, x = (1, *block.shape)[-3:]
            data = np.ascontiguousarray(block, dtype=dtype).tobytes()
            return preview_pb2.Pixels(type=number, shape=image_pb2.Size3(z=z, y=y, x=x), data=data)
    raise InvalidInput(f"Pixels of type {block.dtype} cannot be sent.", "Convert them to float32 or an integer type.")


def pixels_from_wire(message: preview_pb2.Pixels) -> np.ndarray:
    """A read-only (z, y, x) view of the bytes in native order.

    Raises:
        InvalidInput: unknown type, empty shape, or another number of bytes than the shape needs.
    """
    dtype = _TYPES.get(message.type)
    if dtype is None:
        raise InvalidInput(f"{message.type} is no pixel type.", "Use the values of noyau.v1.PixelType.")
    shape = size_from_wire(message.shape)
    if min(shape) < 1:
        raise InvalidInput(f"The crop has the shape {shape}.", "Give at least one voxel along z, y and x.")
    if len(message.data) != prod(shape) * dtype.itemsize:
        raise InvalidInput(
            f"The crop holds {len(message.data)} bytes, but {prod(shape) * dtype.itemsize} are needed for "
            f"{shape} voxels of type {dtype.name}."
        )
    block = np.frombuffer(message.data, dtype=dtype).reshape(shape)
    return block.astype(dtype.newbyteorder("="), copy=False)
