"""OMERO images as sources: pixels from the server, or from the OME-Zarr behind the image where it can be seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Self

import numpy as np

from noyau.domain.access import AccessPolicy
from noyau.domain.axes import Axes
from noyau.domain.errors import InvalidInput, LimitExceeded, NoyauError, OutOfRange
from noyau.domain.geometry import Box, VoxelSize
from noyau.domain.image import ImageInfo, ImageRef, ImageSource
from noyau.domain.omero_uri import OmeroUri, parse_omero, select
from noyau.omero.blocks import BlockReader, Level, read_level
from noyau.omero.images import OmeroImage, read_image
from noyau.omero.pixels import stored_type
from noyau.omero.session import Session
from noyau.omero.sets import images_of
from noyau.omero.visitor import Visitor
from noyau.sources.channels import channel_index, unique_names
from noyau.sources.omezarr import refuse_not_finite
from noyau.sources.opening import open_image
from noyau.storage.options import StorageOptions

Tell = Callable[[str], None]


class OmeroSource:
    """Lazy pixels of one level of an image in OMERO, by RawPixelsStore. Reads from several threads at once are safe.

    Attributes:
        ref: what was asked for.
        info: what OMERO says of it.
    """

    def __init__(self, ref: ImageRef, info: ImageInfo, session: Session, level: Level) -> None:
        self.ref = ref
        self.info = info
        self._blocks: BlockReader | None = BlockReader(session, level, f"reading {parse_omero(ref.uri).title}")

    def read(self, box: Box, *, time: int = 0, channel: int | str | None = None) -> np.ndarray:
        """Pixels of `box`, z/y/x, native endian, in the stored type. See `ImageSource.read`.

        Raises:
            OutOfRange: the box or the time point lies outside the image.
            NotFound, PermissionRefused, Unavailable: the image went away, or the server did.
            InvalidInput: a floating-point image holds NaN or infinity; the message says where.
        """
        uri = self.ref.uri
        if self._blocks is None:
            raise InvalidInput(f"The image '{uri}' was closed.")
        if not Box.of(self.info.shape).contains(box):
            raise OutOfRange(f"Box {box.start}-{box.stop} lies outside '{uri}' of shape {self.info.shape}.")
        if not 0 <= time < self.info.times:
            raise OutOfRange(f"Time point {time} does not exist in '{uri}', which has {self.info.times}.")
        wanted = channel_index(self.ref.channel if channel is None else channel, self.info.channels, uri)
        pixels = self._blocks.read(box, time, wanted)
        if pixels.dtype.kind == "f":
            refuse_not_finite(pixels, box.start, uri)
        return pixels

    def close(self) -> None:
        """Closes the stores on the server; later reads fail."""
        blocks, self._blocks = self._blocks, None
        if blocks is not None:
            blocks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class ZarrBehind:
    """The OME-Zarr behind an image in OMERO, under the names and sizes that OMERO gives it."""

    def __init__(self, ref: ImageRef, info: ImageInfo, inner: ImageSource) -> None:
        self.ref = ref
        self.info = info
        self._inner = inner

    def read(self, box: Box, *, time: int = 0, channel: int | str | None = None) -> np.ndarray:
        """See `ImageSource.read`."""
        wanted = channel_index(self.ref.channel if channel is None else channel, self.info.channels, self.ref.uri)
        return self._inner.read(box, time=time, channel=wanted)

    def close(self) -> None:
        self._inner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def expand_omero(ref: ImageRef, visitor: Visitor) -> list[ImageRef]:
    """The images that a reference into OMERO means, with the selection of its query.

    Raises:
        NotFound, PermissionRefused, Unauthenticated, Unavailable, InvalidInput.
    """
    chosen = select(ref)
    uri = parse_omero(chosen.uri)
    session = visitor.at(uri)
    found = session.call(lambda line: images_of(line, uri), f"listing the images of {uri.title}")
    return [chosen.at(str(OmeroUri(uri.alias, "image", image))) for image in found]


def open_omero(
    ref: ImageRef,
    visitor: Visitor,
    *,
    voxel_size: VoxelSize | None = None,
    fill_missing: bool = False,
    access: AccessPolicy,
    options: StorageOptions | None = None,
    tell: Tell = lambda message: None,
) -> ImageSource:
    """Opens an image in OMERO for the job's owner. Nothing but metadata is read.

    Args:
        ref: image, channel, time range and level.
        visitor: the job's way into OMERO.
        voxel_size: micrometres z/y/x of the finest level, instead of what OMERO says.
        fill_missing: for an OME-Zarr behind the image, as `open_image`.
        access: the largest volume, and where an OME-Zarr behind an image may be read.
        options: for an OME-Zarr behind the image.
        tell: takes a sentence about where the pixels come from.

    Raises:
        NotFound, PermissionRefused, InvalidInput, OutOfRange, LimitExceeded, Unavailable, FailedPrecondition.
    """
    chosen = select(ref)
    uri = parse_omero(chosen.uri)
    session = visitor.at(uri)
    what = f"opening {uri.title}"
    image = session.call(lambda line: read_image(line, uri), what)
    dtype = stored_type(image.pixel_type)
    level = session.call(lambda line: read_level(line, image.pixels, dtype, image.shape, chosen.level), what)
    if level is None:
        raise OutOfRange(f"Level {chosen.level} does not exist in {uri}.")
    info = _describe(image, level, voxel_size)
    _check(chosen, info, access)
    behind = _open_zarr(chosen, info, image, fill_missing, access, options, tell)
    return behind or OmeroSource(chosen, info, session, level)


def _describe(image: OmeroImage, level: Level, given: VoxelSize | None) -> ImageInfo:
    size = given or image.voxel_size
    if size is not None:
        size = size.scaled([fine / here for fine, here in zip(image.shape, level.shape, strict=True)])
    z, y, x = level.shape
    return ImageInfo(
        shape=level.shape,
        dtype=level.dtype.newbyteorder("=").name,
        axes=Axes("tczyx"),
        stored_shape=(image.times, len(image.channels), z, y, x),
        voxel_size=size,
        channels=unique_names(image.channels),
        times=image.times,
        levels=level.levels,
        chunk=level.block,
        name=image.name,
    )


def _check(ref: ImageRef, info: ImageInfo, access: AccessPolicy) -> None:
    channel_index(ref.channel, info.channels, ref.uri)
    if ref.time is not None and not 0 <= ref.time[0] <= ref.time[1] < info.times:
        raise OutOfRange(
            f"Time points {ref.time[0]} to {ref.time[1]} do not exist in {ref.uri}, which has {info.times} (from 0)."
        )
    if access.max_voxels is not None and prod(info.shape) > access.max_voxels:
        raise LimitExceeded(
            f"{ref.uri} has {prod(info.shape):,} voxels, more than the limit of {access.max_voxels:,}.",
            "Use a coarser level, or ask an operator to raise the setting `max_voxels`.",
        )


def _open_zarr(
    ref: ImageRef,
    info: ImageInfo,
    image: OmeroImage,
    fill_missing: bool,
    access: AccessPolicy,
    options: StorageOptions | None,
    tell: Tell,
) -> ZarrBehind | None:
    """The OME-Zarr behind an image, None where there is none that can be used; then the server sends the pixels."""
    if image.zarr is None:
        return None
    try:
        inner = open_image(
            replace(ref, uri=image.zarr, channel=None), fill_missing=fill_missing, access=access, options=options
        )
    except NoyauError as error:
        tell(f"{ref.uri} is read through OMERO, because the OME-Zarr behind it cannot be used: {error.cause}")
        return None
    there = inner.info
    if (there.shape, there.times, len(there.channels)) != (info.shape, info.times, len(info.channels)):
        inner.close()
        tell(f"{ref.uri} is read through OMERO, because the OME-Zarr behind it has another shape, {there.shape}.")
        return None
    tell(f"{ref.uri} is read from the OME-Zarr behind it.")
    return ZarrBehind(ref, replace(info, dtype=there.dtype, chunk=there.chunk), inner)
