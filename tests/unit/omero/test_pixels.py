"""Pixels travel big-endian; lengths have units."""

from __future__ import annotations

import numpy as np
import pytest
from noyau.domain.errors import DamagedData, InvalidInput
from noyau.domain.geometry import VoxelSize
from noyau.omero.lengths import micrometres, voxel_size
from noyau.omero.pixels import decode, encode, label_type, stored_type


def test_bytes_are_read_most_significant_first() -> None:
    pixels = decode(b"\x01\x02\x03\x04\x05\x06", stored_type("uint16"), (1, 3))
    assert pixels.tolist() == [[0x0102, 0x0304, 0x0506]]
    assert pixels.dtype == np.dtype("=u2")
    assert pixels.flags.writeable


@pytest.mark.parametrize("name", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float", "double"])
def test_every_type_survives_the_journey(name: str) -> None:
    dtype = stored_type(name)
    pixels = np.arange(24, dtype=dtype.newbyteorder("=")).reshape(2, 3, 4)
    assert (decode(encode(pixels, dtype), dtype, (2, 3, 4)) == pixels).all()


@pytest.mark.parametrize("name", ["bit", "complex", "double-complex"])
def test_what_is_no_intensity_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match=name):
        stored_type(name)


def test_a_short_answer_is_damage() -> None:
    with pytest.raises(DamagedData, match="5 bytes"):
        decode(b"12345", stored_type("uint16"), (1, 3))


@pytest.mark.parametrize(
    ("largest", "name"), [(255, "uint8"), (256, "uint16"), (65536, "uint32"), (2**32 - 1, "uint32")]
)
def test_labels_never_wrap(largest: int, name: str) -> None:
    assert label_type(largest) == name
    with pytest.raises(InvalidInput):
        label_type(2**32)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (800.0, "NANOMETER", 0.8),
        (0.25, "MICROMETER", 0.25),
        (3.0, None, 3.0),
        (2.0, "MILLIMETER", 2000.0),
        (1.0, "INCH", 25400.0),
        (1.0, "PIXEL", None),
        (1.0, "REFERENCEFRAME", None),
        (0.0, "MICROMETER", None),
        (None, "MICROMETER", None),
    ],
)
def test_lengths_become_micrometres(value: float | None, unit: str | None, expected: float | None) -> None:
    assert micrometres(value, unit) == (None if expected is None else pytest.approx(expected))


def test_a_voxel_size_needs_z_only_where_there_are_planes() -> None:
    assert voxel_size(2.0, 0.5, 0.4, 9) == VoxelSize(2.0, 0.5, 0.4)
    assert voxel_size(None, 0.5, 0.4, 1) == VoxelSize(1.0, 0.5, 0.4)
    assert voxel_size(None, 0.5, 0.4, 9) is None
    assert voxel_size(2.0, None, 0.4, 9) is None
