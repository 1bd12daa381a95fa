"""Pixel types of OMERO, and pixels as they travel: big-endian, row after row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from noyau.domain.errors import DamagedData, InvalidInput

_TYPES = (
    ("int8", ">i1"),
    ("uint8", ">u1"),
    ("int16", ">i2"),
    ("uint16", ">u2"),
    ("int32", ">i4"),
    ("uint32", ">u4"),
    ("float", ">f4"),
    ("double", ">f8"),
)
LABEL_TYPES = (("uint8", 2**8), ("uint16", 2**16), ("uint32", 2**32))


def stored_type(name: str) -> np.dtype:
    """The big-endian numpy type of an OMERO pixel type.

    Raises:
        InvalidInput: `bit`, `complex` or another one that is no intensity.
    """
    for known, code in _TYPES:
        if known == name:
            return np.dtype(code)
    raise InvalidInput(
        f"The image has pixels of type '{name}', which is no intensity that Noyau reads.",
        f"Known are {', '.join(known for known, _ in _TYPES)}.",
    )


def decode(buffer: bytes, dtype: np.dtype, shape: Sequence[int]) -> np.ndarray:
    """Pixels from what a RawPixelsStore returned, native endian, writable.

    Args:
        buffer: bytes as they came.
        dtype: from `stored_type`.
        shape: of the result, slowest axis first.

    Raises:
        DamagedData: the server sent another number of bytes than asked for.
    """
    wanted = int(np.prod(shape)) * dtype.itemsize
    if len(buffer) != wanted:
        raise DamagedData(f"OMERO sent {len(buffer):,} bytes of pixels where {wanted:,} were asked for.")
    return np.frombuffer(buffer, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def encode(pixels: np.ndarray, dtype: np.dtype) -> bytes:
    """Bytes for a RawPixelsStore; `dtype` is from `stored_type`."""
    return np.ascontiguousarray(pixels, dtype=dtype).tobytes()


def label_type(largest: int) -> str:
    """The smallest OMERO pixel type that holds labels up to `largest` without wrapping.

    Raises:
        InvalidInput: more than 32 bits are needed.
    """
    for name, end in LABEL_TYPES:
        if largest < end:
            return name
    raise InvalidInput(f"Label {largest} does not fit 32 bits.")
