"""RawPixelsStore: the values of pixels, big-endian, as planes, tiles and blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import omero

from omero_sim import access
from omero_sim.calls import Call
from omero_sim.errors import api_usage, resource, security
from omero_sim.pixel_data import TILE, Volume
from omero_sim.services.base import StatefulService
from omero_sim.services.query import load_with


class RawPixelsService(StatefulService):
    """One open image. Positions are (z, c, t), x and y; bytes are big-endian in rows."""

    locked = False
    _volume: Volume | None = None
    _pixels: Any = None
    _writable = False
    _level: int | None = None

    def setPixelsId(self, call: Call, number: int, bypass: bool) -> None:
        """Opens the pixels."""
        with self.store.lock:
            self._pixels = call.readable("Pixels", number)
            self._writable = access.can_edit(self._pixels, call.context)
            self._volume = self.server.pixels.open(self._pixels)
        self._level = self._volume.levels - 1

    def getPixelsId(self, call: Call) -> int:
        """What is open."""
        self._opened()
        return int(self._pixels.id)

    def getPlane(self, call: Call, z: int, c: int, t: int) -> bytes:
        """A whole plane."""
        plane = self._array()[self._place(z, c, t)]
        return plane.tobytes()

    def getTile(self, call: Call, z: int, c: int, t: int, x: int, y: int, width: int, height: int) -> bytes:
        """A rectangle of a plane."""
        place = self._place(z, c, t)
        self._inside(x, y, width, height)
        return self._array()[place][y : y + height, x : x + width].tobytes()

    def getHypercube(self, call: Call, offset: Sequence[int], size: Sequence[int], step: Sequence[int]) -> bytes:
        """A block in five dimensions; the three lists are in the order x, y, z, c, t."""
        array = self._array()
        for name, first, length, whole in zip("XYZCT", offset, size, self._sizes(), strict=True):
            if first < 0 or length < 1 or first + length > whole:
                raise api_usage(f"{name} '{first + length - 1}' greater than size{name} '{whole}'.")
        x, y, z, c, t = (slice(o, o + n, s) for o, n, s in zip(offset, size, step, strict=True))
        return array[t, c, z, y, x].tobytes()

    def getRow(self, call: Call, y: int, z: int, c: int, t: int) -> bytes:
        """One row of a plane."""
        place = self._place(z, c, t)
        self._inside(0, y, 1, 1)
        return self._array()[place][y].tobytes()

    def getStack(self, call: Call, c: int, t: int) -> bytes:
        """All planes of a channel at one time."""
        self._place(0, c, t)
        return self._array()[t, c].tobytes()

    def setPlane(self, call: Call, data: bytes, z: int, c: int, t: int) -> None:
        """Writes a whole plane."""
        width, height = self._sizes()[:2]
        self.setTile(call, data, z, c, t, 0, 0, width, height)

    def setTile(self, call: Call, data: bytes, z: int, c: int, t: int, x: int, y: int, width: int, height: int) -> None:
        """Writes a rectangle of a plane."""
        volume = self._opened()
        if not self._writable:
            raise security(f"Updating Pixels(id={self._pixels.id}) not permitted")
        place = self._place(z, c, t)
        self._inside(x, y, width, height)
        expected = width * height * volume.dtype.itemsize
        if len(data) != expected:
            raise resource(f"Buffer size {len(data)} is not the size {expected} of the region")
        part = np.frombuffer(bytes(data), volume.dtype).reshape(height, width)
        volume.array[place][y : y + height, x : x + width] = part

    def getByteWidth(self, call: Call) -> int:
        """Bytes for each value."""
        return int(self._opened().dtype.itemsize)

    def isSigned(self, call: Call) -> bool:
        """Whether values may be negative."""
        return self._opened().dtype.kind in "if"

    def isFloat(self, call: Call) -> bool:
        """Whether values have fractions."""
        return self._opened().dtype.kind == "f"

    def getRowSize(self, call: Call) -> int:
        """Bytes in a row."""
        return self._sizes()[0] * self.getByteWidth(call)

    def getPlaneSize(self, call: Call) -> int:
        """Bytes in a plane."""
        return self.getRowSize(call) * self._sizes()[1]

    def getStackSize(self, call: Call) -> int:
        """Bytes in all planes of a channel at one time."""
        return self.getPlaneSize(call) * self._sizes()[2]

    def getTotalSize(self, call: Call) -> int:
        """Bytes in all."""
        return int(self._array().nbytes)

    def getTileSize(self, call: Call) -> list[int]:
        """Width and height of the tiles that the server stores."""
        width, height = self._sizes()[:2]
        return [min(TILE, width), min(TILE, height)]

    def requiresPixelsPyramid(self, call: Call) -> bool:
        """Whether the image is too big to be shown without smaller versions."""
        return self._opened().levels > 1

    def getResolutionLevels(self, call: Call) -> int:
        """How many versions of the image there are."""
        return self._opened().levels

    def getResolutionDescriptions(self, call: Call) -> list[Any]:
        """Width and height of the versions, the biggest first."""
        answers = []
        for height, width in self._opened().shapes():
            answers.append(omero.api.ResolutionDescription(width, height))
        return answers

    def getResolutionLevel(self, call: Call) -> int:
        """Which version is read; the biggest has the highest number."""
        self._opened()
        return int(self._level or 0)

    def setResolutionLevel(self, call: Call, level: int) -> None:
        """Reads another version from now on."""
        if not 0 <= level < self._opened().levels:
            raise api_usage(f"no resolution level {level}")
        self._level = level

    def calculateMessageDigest(self, call: Call) -> bytes:
        """SHA-1 of all values."""
        return hashlib.sha1(self._opened().array.tobytes()).digest()

    def save(self, call: Call) -> Any:
        """Finishes writing; answers the pixels."""
        if self._volume is None:
            return None
        with self.store.lock:
            if self._writable:
                self.store.set(self._pixels, "sha1", hashlib.sha1(self._volume.array.tobytes()).hexdigest())
            return load_with(self, call, self._pixels, {})

    def _opened(self) -> Volume:
        if self._volume is None:
            raise api_usage("RawPixelsStore not ready: Please use setPixelsId().")
        return self._volume

    def _array(self) -> Any:
        volume = self._opened()
        if volume.pending:
            raise omero.MissingPyramidException(None, None, "The pyramid is being made", 60_000, self._pixels.id)
        return volume.level(int(self._level or 0))

    def _sizes(self) -> tuple[int, int, int, int, int]:
        t, c, z, y, x = self._array().shape
        return x, y, z, c, t

    def _place(self, z: int, c: int, t: int) -> tuple[int, int, int]:
        _, _, planes, channels, times = self._sizes()
        for name, value, size in (("Z", z, planes), ("C", c, channels), ("T", t, times)):
            if not 0 <= value < size:
                raise api_usage(f"{name} '{value}' greater than size{name} '{size}'.")
        return t, c, z

    def _inside(self, x: int, y: int, width: int, height: int) -> None:
        whole_width, whole_height = self._sizes()[:2]
        if x < 0 or y < 0 or width < 1 or height < 1 or x + width > whole_width or y + height > whole_height:
            raise api_usage(f"tile x={x} y={y} w={width} h={height} is outside {whole_width} x {whole_height}")
