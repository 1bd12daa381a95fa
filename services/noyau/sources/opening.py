"""Opens images by reference: checks access, reads the metadata, refuses what cannot be used."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts

from noyau.domain.access import AccessPolicy
from noyau.domain.errors import InvalidInput, LimitExceeded, NotFound, OutOfRange
from noyau.domain.geometry import Index3, VoxelSize
from noyau.domain.image import ImageInfo, ImageRef
from noyau.sources.channels import channel_index, channel_names
from noyau.sources.omezarr import OmeZarrSource, spatial
from noyau.storage.arrays import open_array
from noyau.storage.groups import Group, is_array, read_group
from noyau.storage.multiscale import Multiscale, parse_multiscale
from noyau.storage.options import StorageOptions
from noyau.storage.store import Store

PIXEL_KINDS = "biuf"
CONVERTIBLE = (".npz", ".npy", ".tif", ".tiff")


def open_image(
    ref: ImageRef,
    *,
    voxel_size: VoxelSize | None = None,
    fill_missing: bool = False,
    access: AccessPolicy,
    options: StorageOptions | None = None,
) -> OmeZarrSource:
    """Opens one OME-Zarr image. Nothing but metadata is read.

    Args:
        ref: image, channel, time range and level.
        voxel_size: micrometres z/y/x of the finest level, instead of what the metadata says.
        fill_missing: missing chunks count as the fill value (usually zero) instead of being an error.
        access: where images may live, and the largest volume.
        options: threads, cache and S3 server; None takes the defaults with the access policy's S3 server.

    Returns:
        an `ImageSource`; `info.voxel_size` is None where neither the caller nor the metadata knows it.

    Raises:
        NotFound, PermissionRefused, InvalidInput, OutOfRange, LimitExceeded, DamagedData, Unavailable: each names the
            image and what is wrong with it.
    """
    uri = access.check(ref.uri)
    access.check_links(uri, deep=False)
    store = Store(uri, options or StorageOptions.of(access))
    group = require_group(store, uri)
    multiscale = parse_multiscale(group.ngff, uri)
    if not 0 <= ref.level < len(multiscale.levels):
        raise OutOfRange(f"Level {ref.level} does not exist in '{uri}', which has {len(multiscale.levels)}.")
    path = multiscale.levels[ref.level].path
    if store.is_local:
        # A level, or a single chunk of it, may be a link that leads elsewhere.
        access.check_links(access.check(store.locate(path)))
    array = open_array(store, path, strict=not fill_missing)
    info = _describe(array, group, multiscale, ref.level, voxel_size, uri)
    _check_limits(info, access, uri)
    channel_index(ref.channel, info.channels, uri)
    _check_times(ref, info, uri)
    return OmeZarrSource(ref, info, array, uri)


def require_group(store: Store, uri: str) -> Group:
    """The Zarr group at a store; a clear error for everything else that may be there."""
    if store.is_local and Path(uri).is_file():
        how = f"Convert it first: noyau convert {Path(uri).name} {Path(uri).stem}.ome.zarr"
        raise InvalidInput(f"'{uri}' is a file, not an OME-Zarr image.", how if uri.endswith(CONVERTIBLE) else "")
    group = read_group(store)
    if group is not None:
        return group
    if is_array(store):
        raise InvalidInput(f"'{uri}' is a Zarr array, not an OME-Zarr image.", "Name the folder of the image above it.")
    if store.is_local:
        raise InvalidInput(f"'{uri}' is not a Zarr: it has neither zarr.json nor .zgroup.", "Name an OME-Zarr image.")
    raise NotFound(f"There is nothing at '{uri}', or no Zarr.", "Check the address; it names the folder of the image.")


def _describe(
    array: ts.TensorStore, group: Group, multiscale: Multiscale, level: int, given: VoxelSize | None, uri: str
) -> ImageInfo:
    axes, shape = multiscale.axes, tuple(int(n) for n in array.shape)
    if len(shape) != len(axes):
        raise InvalidInput(f"'{uri}' has {len(shape)} dimensions but its metadata names the axes {axes.names}.")
    chunk = tuple(int(n or 1) for n in array.chunk_layout.write_chunk.shape or shape)
    return ImageInfo(
        shape=spatial(axes, shape),
        dtype=_dtype_name(array, uri),
        axes=axes,
        stored_shape=shape,
        voxel_size=_voxel_size(multiscale, level, given, spatial(axes, shape)),
        channels=channel_names(group.ngff, axes.size(shape, "c")),
        times=axes.size(shape, "t"),
        levels=len(multiscale.levels),
        chunk=_clip(spatial(axes, chunk), spatial(axes, shape)),
    )


def _dtype_name(array: ts.TensorStore, uri: str) -> str:
    try:
        dtype: np.dtype[Any] = np.dtype(array.dtype.numpy_dtype)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in PIXEL_KINDS:
        raise InvalidInput(
            f"'{uri}' has pixels of type {array.dtype.name}, which is no intensity.",
            "Noyau reads bool, integers of 8 to 64 bits and floats of 16 to 64 bits.",
        )
    return dtype.newbyteorder("=").name


def _voxel_size(multiscale: Multiscale, level: int, given: VoxelSize | None, shape: Index3) -> VoxelSize | None:
    """Micrometres z/y/x of a level; a size from the caller is that of the finest level and is scaled along."""
    if given is not None:
        fine, here = multiscale.levels[0].scale, multiscale.levels[level].scale
        ratio = {n: here[i] / fine[i] if fine[i] > 0 else 1.0 for i, n in enumerate(multiscale.axes.names)}
        return given.scaled([ratio.get(name, 1.0) for name in "zyx"])
    z, y, x = (multiscale.spacing(name, level) for name in "zyx")
    if y is None or x is None:
        return None
    if z is None and shape[0] > 1:
        return None
    return VoxelSize(1.0 if z is None else z, y, x)


def _clip(chunk: Index3, shape: Index3) -> Index3:
    z, y, x = (max(1, min(c, n)) for c, n in zip(chunk, shape, strict=True))
    return (z, y, x)


def _check_limits(info: ImageInfo, access: AccessPolicy, uri: str) -> None:
    if 0 in info.stored_shape:
        raise InvalidInput(f"'{uri}' is empty: its shape is {info.stored_shape} ({info.axes.names}).")
    voxels = prod(info.shape)
    if access.max_voxels is not None and voxels > access.max_voxels:
        raise LimitExceeded(
            f"'{uri}' has {voxels:,} voxels, more than the limit of {access.max_voxels:,}.",
            "Use a coarser level, or ask an operator to raise the setting `max_voxels`.",
        )


def _check_times(ref: ImageRef, info: ImageInfo, uri: str) -> None:
    if ref.time is None:
        return
    first, last = ref.time
    if not 0 <= first <= last < info.times:
        raise OutOfRange(f"Time points {first} to {last} do not exist in '{uri}', which has {info.times} (from 0).")
