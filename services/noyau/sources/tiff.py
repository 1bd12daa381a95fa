"""TIFF and OME-TIFF as rasters, read tile by tile or strip by strip, never as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile
import zarr

from noyau.domain.axes import Axes
from noyau.domain.errors import DamagedData, InvalidInput, NotFound
from noyau.sources.raster import COLOURS, Raster, name_axes
from noyau.storage.multiscale import micrometres


@contextmanager
def open_tiff(
    path: Path, *, axes: str | None = None, channel_axis: int | None = None, series: int = 0
) -> Iterator[Raster]:
    """Opens one series of a TIFF; it is closed when the context ends.

    Args:
        path: the file.
        axes, channel_axis: override what the file says, see `name_axes`.
        series: which image of a file that holds several.

    Raises:
        InvalidInput: not a TIFF, or axes that Noyau cannot use.
        NotFound: no such series.
        DamagedData: the file cannot be decoded.
    """
    try:
        file = tifffile.TiffFile(path)
    except (tifffile.TiffFileError, OSError, ValueError) as error:
        raise InvalidInput(f"'{path}' is not a TIFF: {error}.") from error
    with file:
        try:
            images = file.series
        except (tifffile.TiffFileError, ValueError, IndexError) as error:
            raise DamagedData(f"'{path}' is damaged: {error}.") from error
        if not 0 <= series < len(images):
            raise NotFound(f"Series {series} does not exist in '{path}', which has {len(images)}.")
        with images[series].aszarr(level=0) as store:
            yield _raster(file, images[series], store, path, axes, channel_axis, series)


def _raster(
    file: tifffile.TiffFile, image: Any, store: Any, path: Path, axes: str | None, channel_axis: int | None, series: int
) -> Raster:
    data = zarr.open_array(store, mode="r")
    if data.dtype.kind not in "biuf":
        raise InvalidInput(f"'{path}' holds values of type {data.dtype}, which is no intensity.")
    shape = tuple(int(n) for n in data.shape)
    statements = []
    if len(file.series) > 1:
        statements.append(f"'{path.name}' holds {len(file.series)} images; only number {series} is converted.")
    if axes is not None or channel_axis is not None:
        named, keep = name_axes(shape, axes, channel_axis, path.name)[0], tuple(range(len(shape)))
    else:
        named, keep = _axes(image.axes, shape, path)
    spacing, channels = _ome(file.ome_metadata, series) if file.is_ome else _imagej(file)
    if not channels and image.axes.endswith("S") and shape[-1] in (3, 4):
        channels = COLOURS[: shape[-1]]
    return Raster(_Squeezed(data, keep), named, spacing, channels, tuple(statements))


class _Squeezed:
    """A Zarr array without its nameless axes of length one."""

    def __init__(self, data: Any, keep: tuple[int, ...]) -> None:
        self._data = data
        self._keep = keep
        self.shape = tuple(int(data.shape[i]) for i in keep)
        self.dtype = np.dtype(data.dtype)

    def __getitem__(self, key: tuple[int | slice, ...]) -> np.ndarray:
        full: list[int | slice] = [0] * len(self._data.shape)
        for at, part in zip(self._keep, key, strict=True):
            full[at] = part
        try:
            return np.asarray(self._data[tuple(full)])
        except Exception as error:  # every codec has errors of its own
            raise DamagedData(f"A part of the TIFF cannot be decoded: {error}.") from error


def _axes(letters: str, shape: tuple[int, ...], path: Path) -> tuple[Axes, tuple[int, ...]]:
    """Maps tifffile's letters to t, c, z, y, x: S (samples) are channels, Q and I (unnamed) are planes."""
    names, keep = "", []
    for at, (letter, size) in enumerate(zip(letters, shape, strict=True)):
        name = letter.lower()
        if letter == "S":
            name = "c"
        elif letter in "QI":
            name = "z" if "Z" not in letters else "t"
        if size == 1 and (name not in "tczyx" or name in names or (letter == "S" and "C" in letters)):
            continue
        names += name
        keep.append(at)
    if set(names) - set("tczyx") or len(set(names)) != len(names):
        raise InvalidInput(
            f"The axes '{letters}' of '{path}' with shape {shape} cannot be mapped to t, c, z, y, x.",
            "Name them with --axes, one letter per dimension.",
        )
    return Axes(names), tuple(keep)


def _ome(xml: str | None, series: int) -> tuple[dict[str, float], tuple[str, ...]]:
    """Voxel size and channel names from OME-XML."""
    try:
        root = ElementTree.fromstring(xml or "")
    except ElementTree.ParseError:
        return {}, ()
    pixels = [node for node in root.iter() if node.tag.rsplit("}", 1)[-1] == "Pixels"]
    if series >= len(pixels):
        return {}, ()
    node = pixels[series]
    spacing: dict[str, float] = {}
    for axis in "XYZ":
        size, factor = node.get(f"PhysicalSize{axis}"), micrometres(node.get(f"PhysicalSize{axis}Unit", "µm"))
        if size and factor and float(size) > 0:
            spacing[axis.lower()] = float(size) * factor
    names = [c.get("Name") or "" for c in node if c.tag.rsplit("}", 1)[-1] == "Channel"]
    return spacing, tuple(names) if all(names) else ()


def _imagej(file: tifffile.TiffFile) -> tuple[dict[str, float], tuple[str, ...]]:
    """Voxel size from ImageJ's metadata: `unit`, `spacing` for z, resolution tags for x and y."""
    meta = file.imagej_metadata or {}
    unit = re.sub(r"\\u00b5", "µ", str(meta.get("unit", "")), flags=re.IGNORECASE)
    factor = micrometres(unit)
    if factor is None:
        return {}, ()
    spacing: dict[str, float] = {}
    for axis, tag in (("x", "XResolution"), ("y", "YResolution")):
        entry = file.pages[0].tags.get(tag)  # type: ignore[union-attr]
        if entry is not None and entry.value[0] > 0:
            spacing[axis] = entry.value[1] / entry.value[0] * factor
    if float(meta.get("spacing") or 0) > 0:
        spacing["z"] = float(meta["spacing"]) * factor
    return spacing, ()
