"""npz, npy, TIFF and OME-TIFF -> OME-Zarr with a pyramid, in one step that leaves nothing behind when it fails."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from noyau.domain.access import AccessPolicy
from noyau.domain.axes import Axes
from noyau.domain.errors import AlreadyExists, InvalidInput, NotFound
from noyau.domain.geometry import VoxelSize
from noyau.sources.npz import has_array, load_array, read_numpy
from noyau.sources.raster import Raster, name_axes
from noyau.sources.writing import write_image, write_label_image
from noyau.storage.groups import NGFF_ZARR_FORMAT, update_listing
from noyau.storage.names import check_name
from noyau.storage.options import StorageOptions
from noyau.storage.replacing import replacing
from noyau.storage.store import Store

NUMPY = (".npz", ".npy")
TIFF = (".tif", ".tiff")


@dataclass(frozen=True)
class Converted:
    """What was written: where, stored axes and shape, type, number of levels, voxel size, what was assumed."""

    uri: str
    axes: str
    shape: tuple[int, ...]
    dtype: str
    levels: int
    voxel_size: VoxelSize | None
    statements: tuple[str, ...] = ()


def convert(
    src: str,
    dst: str,
    *,
    voxel_size: VoxelSize | None = None,
    axes: str | None = None,
    channel_axis: int | None = None,
    ngff: str = "0.5",
    overwrite: bool = False,
    key: str = "image",
    labels: str | None = None,
    labels_key: str = "labels",
    series: int = 0,
    access: AccessPolicy | None = None,
    check: Callable[[], None] = lambda: None,
) -> Converted:
    """Converts one file. Pixels stay what they are; only their byte order is normalised.

    Args:
        src: `.npz`, `.npy`, `.tif`, `.tiff` (OME-TIFF and ImageJ metadata are used).
        dst: the OME-Zarr to write, a path or `s3://`.
        voxel_size: micrometres z/y/x, instead of what the file says; of a 2D image only y and x are used.
        axes, channel_axis: name the dimensions where the guess is wrong.
        ngff: `0.5` (Zarr 3, sharded when large) or `0.4` (Zarr 2).
        overwrite: replace what is at `dst`.
        key: array of an `.npz`.
        labels: name of a label group to make from the array `labels_key` of an `.npz`, e.g. `truth`.
        series: image of a TIFF that holds several.
        access: where files may live; None means wherever the user can read and write.
        check: called often; raises to stop.

    Raises:
        NotFound, PermissionRefused, InvalidInput, DamagedData: the source cannot be used.
        AlreadyExists: `dst` exists and `overwrite` is not set.
        LimitExceeded: the disk is full.
    """
    if ngff not in NGFF_ZARR_FORMAT:
        raise InvalidInput(f"NGFF version '{ngff}' cannot be written.", "Choose 0.4 or 0.5.")
    if labels:
        check_name(labels)
    access = access or AccessPolicy.everything()
    source = Path(access.check(src))
    target = access.check(dst, write=True)
    if source == Path(target):
        raise InvalidInput(f"'{src}' cannot be converted into itself.")
    parent, _, name = target.rpartition("/")
    store = Store(parent, StorageOptions.of(access, cache_bytes=0))
    if store.exists(name) and not overwrite:
        raise AlreadyExists(f"'{dst}' exists already.", "Choose another name, or replace it with --overwrite.")
    with ExitStack() as stack:
        raster = _sized(stack.enter_context(_open(source, key, axes, channel_axis, series)), voxel_size)
        truth = _labels(source, labels_key, raster) if labels else None
        out = stack.enter_context(replacing(store, name, tag=str(os.getpid()), overwrite=overwrite))
        levels = write_image(out, raster, name.split(".")[0], ngff, check)
        if truth is not None and labels:
            write_label_image(out, f"labels/{labels}", truth, labels, ngff, check)
            update_listing(out, "labels", ngff, add=labels)
    return _report(target, raster, levels)


@contextmanager
def _open(path: Path, key: str, axes: str | None, channel_axis: int | None, series: int) -> Iterator[Raster]:
    suffix = path.suffix.lower()
    if suffix in NUMPY:
        yield read_numpy(path, key=key, axes=axes, channel_axis=channel_axis)
    elif suffix in TIFF:
        from noyau.sources.tiff import open_tiff

        with open_tiff(path, axes=axes, channel_axis=channel_axis, series=series) as raster:
            yield raster
    else:
        raise InvalidInput(f"'{path}' is of no type that can be converted.", f"Known are {', '.join(NUMPY + TIFF)}.")


def _sized(raster: Raster, voxel_size: VoxelSize | None) -> Raster:
    shape = tuple(raster.data.shape)
    if 0 in shape:
        raise InvalidInput(f"The image to convert is empty: its shape is {shape} ({raster.axes.names}).")
    if voxel_size is None:
        return raster
    return replace(raster, spacing=dict(zip("zyx", voxel_size, strict=True)))


def _labels(path: Path, key: str, raster: Raster) -> Raster:
    """The label array of an npz on the axes of the image without channels."""
    if not has_array(path, key):
        raise NotFound(f"'{path}' holds no labels (no array '{key}').")
    data = load_array(path, key)
    wanted = raster.axes.names.replace("c", "")
    guess = Axes(wanted) if len(wanted) == data.ndim else name_axes(data.shape, None, None, path.name)[0]
    labels = Raster(data, guess, raster.spacing)
    if data.dtype.kind not in "biu" or any(labels.length(n) != raster.length(n) for n in "tzyx"):
        raise InvalidInput(f"The labels of '{path}' ({data.dtype}, {data.shape}) do not fit its image.")
    return labels


def _report(target: str, raster: Raster, levels: int) -> Converted:
    axes = "".join(name for name in "tczyx" if name in raster.axes)
    spacing = raster.spacing
    known = {"y", "x"} <= set(spacing) and ("z" in spacing or "z" not in axes)
    size = VoxelSize(spacing.get("z", 1.0), spacing["y"], spacing["x"]) if known else None
    statements = raster.statements
    if size is None:
        hint = (
            "lengths of this 2D image are in pixels" if "z" not in axes else "segmenting it will ask for --voxel-size"
        )
        statements = (*statements, f"The voxel size is not known: {hint}.")
    shape = tuple(raster.length(name) for name in axes)
    return Converted(target, axes, shape, raster.dtype.name, levels, size, statements)
