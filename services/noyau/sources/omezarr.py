"""An OME-Zarr image (NGFF 0.4 or 0.5, sharded or not, local, S3 or HTTP) as an ImageSource."""

from __future__ import annotations

from typing import Self

import numpy as np
import tensorstore as ts

from noyau.domain.axes import Axes
from noyau.domain.errors import InvalidInput, OutOfRange
from noyau.domain.geometry import Box, Index3
from noyau.domain.image import ImageInfo, ImageRef
from noyau.sources.channels import channel_index
from noyau.storage.arrays import read_pixels


class OmeZarrSource:
    """Lazy pixels of one resolution level. Reads from several threads at once are safe.

    Attributes:
        ref: what was asked for.
        info: what the metadata says.
    """

    def __init__(self, ref: ImageRef, info: ImageInfo, array: ts.TensorStore, uri: str) -> None:
        self.ref = ref
        self.info = info
        self._uri = uri
        # Views are lazy in tensorstore: the axes are put into the order t, c, z, y, x once, and nothing is read.
        order = [info.axes.index(name) for name in "tczyx" if name in info.axes]
        self._array: ts.TensorStore | None = array.transpose(order)
        self._present = "".join(name for name in "tczyx" if name in info.axes)

    def read(self, box: Box, *, time: int = 0, channel: int | str | None = None) -> np.ndarray:
        """Pixels of `box`, z/y/x, native endian, in the stored type. See `ImageSource.read`.

        Raises:
            OutOfRange: the box or the time point lies outside the image.
            DamagedData: a chunk is missing or cannot be decoded.
            InvalidInput: a floating-point image holds NaN or infinity; the message says where.
        """
        if self._array is None:
            raise InvalidInput(f"The image '{self._uri}' was closed.")
        if not Box.of(self.info.shape).contains(box):
            raise OutOfRange(f"Box {box.start}-{box.stop} lies outside '{self._uri}' of shape {self.info.shape}.")
        if not 0 <= time < self.info.times:
            raise OutOfRange(f"Time point {time} does not exist in '{self._uri}', which has {self.info.times}.")
        wanted = self.ref.channel if channel is None else channel
        index = self._index(box, time, channel_index(wanted, self.info.channels, self._uri))
        pixels = read_pixels(self._array[index], self._uri).reshape(box.shape)
        if pixels.dtype.kind == "f":
            refuse_not_finite(pixels, box.start, self._uri)
        return pixels

    def _index(self, box: Box, time: int, channel: int) -> tuple[int | slice, ...]:
        z, y, x = box.slices
        parts: dict[str, int | slice] = {"t": time, "c": channel, "z": z, "y": y, "x": x}
        return tuple(parts[name] for name in self._present)

    def close(self) -> None:
        """Lets go of the cache; later reads fail."""
        self._array = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def spatial(axes: Axes, values: tuple[int, ...]) -> Index3:
    """The z, y, x entries of a tuple in stored order; 1 where there is no z."""
    return (axes.size(values, "z"), axes.size(values, "y"), axes.size(values, "x"))


def refuse_not_finite(pixels: np.ndarray, origin: Index3, uri: str) -> None:
    """Raises InvalidInput where floating-point pixels hold NaN or infinity; the message names the voxel."""
    finite = np.isfinite(pixels)
    if finite.all():
        return
    first = np.argwhere(~finite)[0]
    where = ", ".join(str(int(o + i)) for o, i in zip(origin, first, strict=True))
    value = "NaN" if np.isnan(pixels[tuple(first)]) else "infinity"
    raise InvalidInput(
        f"'{uri}' holds {value} at voxel z, y, x = {where}.",
        "Noyau needs finite intensities: replace these voxels, for example by background, and write it again.",
    )
