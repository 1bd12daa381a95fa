"""The values of all pixels, in files of the server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from omero_sim.records import Record

# OMERO's names of types; bytes are big-endian in the store and on the wire.
TYPES = {
    "int8": ">i1",
    "uint8": ">u1",
    "int16": ">i2",
    "uint16": ">u2",
    "int32": ">i4",
    "uint32": ">u4",
    "float": ">f4",
    "double": ">f8",
}
TILE = 256

# Planes with more pixels than a square of this side have a pyramid (`omero.pixeldata.max_plane_width` and `_height`).
PLANE_SIDE = 3192
SMALLEST = 256


@dataclass
class Volume:
    """The pixels of one image.

    Attributes:
        array: In the order t, c, z, y, x.
        dtype: Big-endian.
        levels: How many versions there are; 1 for small images.
        pending: Whether the smaller versions are still being made.
    """

    array: Any
    dtype: np.dtype[Any]
    levels: int
    pending: bool = False
    _made: dict[int, Any] = field(default_factory=dict)

    def shapes(self) -> Iterator[tuple[int, int]]:
        """Height and width of the versions, the biggest first."""
        height, width = self.array.shape[-2:]
        for step in range(self.levels):
            yield max(1, height >> step), max(1, width >> step)

    def level(self, number: int) -> Any:
        """The version with that number; the highest number is the biggest."""
        step = self.levels - 1 - number
        if step <= 0:
            return self.array
        if number not in self._made:
            height, width = list(self.shapes())[step]
            factor = 1 << step
            self._made[number] = np.ascontiguousarray(
                self.array[..., : height * factor : factor, : width * factor : factor]
            )
        return self._made[number]


class PixelData:
    """Opens the pixels of images; all that use one image see the same values.

    Args:
        folder: Where the files are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._volumes: dict[int, Volume] = {}
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def open(self, pixels: Record) -> Volume:
        """The pixels of a row; zeros at first."""
        with self._lock:
            if pixels.id not in self._volumes:
                self._volumes[pixels.id] = self._make(pixels)
            return self._volumes[pixels.id]

    def discard(self, number: int) -> None:
        """The row is gone."""
        with self._lock:
            self._volumes.pop(number, None)
            (self._folder / str(number)).unlink(missing_ok=True)

    def _make(self, pixels: Record) -> Volume:
        dtype = np.dtype(TYPES[pixels.get("pixelsType").get("value")])
        shape = tuple(int(pixels.get(f"size{axis}")) for axis in "TCZYX")
        array = np.memmap(self._folder / str(pixels.id), dtype, "w+", shape=shape)
        levels = 1
        height, width = shape[-2:]
        if height * width > PLANE_SIDE**2:
            while max(height, width) >> (levels - 1) > SMALLEST:
                levels += 1
        return Volume(array, dtype, levels)
