"""References to images and what is known of them before a pixel is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, Self, runtime_checkable

import numpy as np

from noyau.domain.axes import Axes
from noyau.domain.geometry import Box, Index3, VoxelSize


@dataclass(frozen=True)
class ImageRef:
    """Where an image lives and which part of it is meant. Pixels never travel in a job, references do.

    Attributes:
        uri: path, `file://`, `s3://bucket/key`, `http(s)://...` or `omero://alias/image/1`; a plate, a well or a
            field of an HCS plate is a target as well and expands to many images.
        channel: index or name; None means channel 0, or the only one.
        time: time points to use, first to last inclusive; None means all.
        level: resolution level, 0 is the finest.
    """

    uri: str
    channel: int | str | None = None
    time: tuple[int, int] | None = None
    level: int = 0

    def at(self, uri: str) -> ImageRef:
        """The same selection in another image (used when a plate expands to its fields)."""
        return replace(self, uri=uri)


@dataclass(frozen=True)
class ImageInfo:
    """What the metadata of one resolution level says.

    Attributes:
        shape: z/y/x voxels of one time point of one channel; z is 1 for a 2D image.
        dtype: native-endian numpy dtype name, e.g. `uint16`.
        axes: axis order as stored.
        stored_shape: shape as stored, in the order of `axes`.
        voxel_size: micrometres z/y/x, None where the image does not say. z is 1.0 for a 2D image that has none.
        channels: names in order, at least one.
        times: number of time points, at least one.
        levels: number of resolution levels.
        chunk: z/y/x chunk (or shard) of the stored array, the natural unit of reading.
        name: as people call the image; empty where only its address names it.
    """

    shape: Index3
    dtype: str
    axes: Axes
    stored_shape: tuple[int, ...]
    voxel_size: VoxelSize | None
    channels: tuple[str, ...]
    times: int
    levels: int
    chunk: Index3
    name: str = ""

    @property
    def is_2d(self) -> bool:
        """True for an image that is stored without a z axis or with one plane."""
        return self.shape[0] == 1


@runtime_checkable
class ImageSource(Protocol):
    """Lazy access to one image at one resolution level; safe to read from several threads."""

    ref: ImageRef
    info: ImageInfo

    def read(self, box: Box, *, time: int = 0, channel: int | str | None = None) -> np.ndarray:
        """Pixels of `box` (inside the image), z/y/x, native endian, in the stored type.

        Args:
            box: voxels to read, within `info.shape`.
            time: time point.
            channel: index or name; None means the one of `ref`.

        Raises:
            DamagedData: a chunk is missing or cannot be decoded; the message names it.
        """
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
