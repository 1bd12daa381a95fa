"""Existing labels as a source: OME-Zarr label groups, npz and TIFF."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np

from noyau.domain.access import AccessPolicy
from noyau.domain.errors import InvalidInput, NotFound, OutOfRange
from noyau.domain.geometry import Box, VoxelSize
from noyau.domain.image import ImageInfo, ImageRef, ImageSource
from noyau.sources.npz import read_numpy
from noyau.sources.omezarr import OmeZarrSource
from noyau.sources.opening import open_image
from noyau.sources.raster import Raster
from noyau.sources.writing import as_labels
from noyau.storage.groups import read_group
from noyau.storage.options import StorageOptions
from noyau.storage.store import Store

FILES = (".npz", ".npy", ".tif", ".tiff")


class LabelSource:
    """Labels as uint32, whatever integers are stored. An `ImageSource`."""

    def __init__(self, inner: ImageSource) -> None:
        self._inner = inner
        self.ref = inner.ref
        old = inner.info
        self.info = ImageInfo(
            old.shape,
            "uint32",
            old.axes,
            old.stored_shape,
            old.voxel_size,
            old.channels,
            old.times,
            old.levels,
            old.chunk,
        )

    def read(self, box: Box, *, time: int = 0, channel: int | str | None = None) -> np.ndarray:
        """Labels of a box, uint32 z/y/x; InvalidInput where a number is negative or too large."""
        return as_labels(self._inner.read(box, time=time, channel=channel), self.ref.uri)

    def close(self) -> None:
        self._inner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class RasterSource:
    """A raster in memory (npz, TIFF) as an `ImageSource`."""

    def __init__(self, ref: ImageRef, raster: Raster) -> None:
        shape = (raster.length("z"), raster.length("y"), raster.length("x"))
        spacing = raster.spacing
        known = {"y", "x"} <= set(spacing) and ("z" in spacing or shape[0] == 1)
        self.ref = ref
        self._raster = raster
        self.info = ImageInfo(
            shape=shape,
            dtype=raster.dtype.name,
            axes=raster.axes,
            stored_shape=tuple(raster.data.shape),
            voxel_size=VoxelSize(spacing.get("z", 1.0), spacing["y"], spacing["x"]) if known else None,
            channels=raster.channels or tuple(str(i) for i in range(raster.length("c"))),
            times=raster.length("t"),
            levels=1,
            chunk=shape,
        )

    def read(self, box: Box, *, time: int = 0, channel: int | str | None = None) -> np.ndarray:
        """Pixels of a box, z/y/x."""
        if not Box.of(self.info.shape).contains(box) or not 0 <= time < self.info.times:
            raise OutOfRange(f"Box {box.start}-{box.stop} at time {time} lies outside '{self.ref.uri}'.")
        return self._raster.read(box, time, channel if isinstance(channel, int) else 0)

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None: ...


def open_labels(
    uri: str, *, name: str | None = None, access: AccessPolicy, key: str = "labels", level: int = 0
) -> LabelSource:
    """Opens labels.

    Args:
        uri: a label group (`image.ome.zarr/labels/nuclei`), an image (its group `name`, or its only one), or an
            `.npz` (array `key`), `.npy` or TIFF file.
        name: label group of an image.
        access: where files may live.
        key: array of an `.npz`.
        level: resolution level of a label group.

    Raises:
        NotFound: no such labels (the message names those that exist).
        InvalidInput: not labels: a floating-point image, channels, or an image with several label groups and no name.
    """
    place = access.check(uri)
    if place.lower().endswith(FILES) and "://" not in place:
        return LabelSource(_open_file(Path(place), key))
    path = _label_path(place, name, access)
    source: OmeZarrSource = open_image(ImageRef(path, level=level), access=access)
    if np.dtype(source.info.dtype).kind not in "biu" or len(source.info.channels) > 1:
        raise InvalidInput(
            f"'{path}' holds {source.info.dtype} pixels of {len(source.info.channels)} channels, not labels."
        )
    return LabelSource(source)


def list_labels(uri: str, *, access: AccessPolicy) -> tuple[str, ...]:
    """Names of the label groups of an image, as its metadata lists them."""
    store = Store(access.check(uri), StorageOptions.of(access))
    listing = read_group(store, "labels")
    names = listing.ngff.get("labels") if listing else None
    return tuple(str(n) for n in names) if isinstance(names, list) else ()


def _label_path(place: str, name: str | None, access: AccessPolicy) -> str:
    store = Store(place, StorageOptions.of(access))
    group = read_group(store)
    if name is None and group is not None and "image-label" in group.ngff:
        return place
    known = list_labels(place, access=access)
    if name is None:
        if len(known) == 1:
            return f"{place}/labels/{known[0]}"
        if not known and group is not None and "multiscales" in group.ngff and "omero" not in group.ngff:
            return place
        raise InvalidInput(
            f"'{place}' holds {len(known)} label groups ({', '.join(known) or 'none'}).", "Name one with --labels."
        )
    if name not in known and read_group(store, f"labels/{name}") is None:
        raise NotFound(f"'{place}' has no labels '{name}'; it has {', '.join(known) or 'none'}.")
    return f"{place}/labels/{name}"


def _open_file(path: Path, key: str) -> RasterSource:
    if path.suffix.lower() in (".npz", ".npy"):
        return RasterSource(ImageRef(str(path)), read_numpy(path, key=key))
    from noyau.sources.tiff import open_tiff

    with open_tiff(path) as lazy:
        pixels = np.asarray(lazy.data[tuple(slice(None) for _ in lazy.data.shape)])
        return RasterSource(ImageRef(str(path)), Raster(pixels, lazy.axes, lazy.spacing))
