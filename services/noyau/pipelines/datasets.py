"""Datasets with every reader there is: npz, TIFF and OME-TIFF, OME-Zarr with label groups."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from noyau.domain.access import AccessPolicy
from noyau.domain.errors import InvalidInput, LimitExceeded, NotFound
from noyau.domain.geometry import Box, VoxelSize
from noyau.domain.image import ImageRef, ImageSource
from noyau.domain.progress import Reporter
from noyau.sources import expand, list_labels, open_image, open_labels
from noyau.training.data import Dataset, Facts, Pixels, Readers, open_dataset


def open_pairs(
    sources: Sequence[str],
    *,
    access: AccessPolicy,
    ndim: int | None = None,
    labels: str = "nuclei",
    on_bad: str = "stop",
    facts: Facts | None = None,
    labelled: bool = True,
    reporter: Reporter | None = None,
) -> Dataset:
    """`noyau.training.data.open_dataset` with all readers; see there.

    Raises:
        InvalidInput: `on_bad` is neither `stop` nor `skip`, besides all that `open_dataset` raises.
    """
    if on_bad not in ("stop", "skip"):
        raise InvalidInput(f"A bad pair cannot be met with '{on_bad}'.", "Choose stop or skip.")
    return open_dataset(
        sources,
        ndim=ndim,
        labels=labels,
        on_bad="stop" if on_bad == "stop" else "skip",
        access=access,
        readers=readers_for(access),
        facts=facts,
        labelled=labelled,
        reporter=reporter,
    )


def readers_for(access: AccessPolicy) -> Readers:
    """Readers of TIFF and OME-Zarr that stay within the allowed places."""

    def tiff(path: str, limit: int) -> Pixels:
        return _read_tiff(access.check(path), limit)

    def zarr(uri: str, group: str | None, time: int) -> tuple[Pixels, Pixels | None]:
        with open_image(ImageRef(uri), access=access) as source:
            image = _read_zarr(source, time)
        if group is None:
            return image, None
        with open_labels(uri, name=_group(uri, group, access), access=access) as labels:
            if labels.info.times <= time:
                raise InvalidInput(
                    f"The labels of '{uri}' have {labels.info.times} time points; number {time} is asked."
                )
            return image, _read_zarr(labels, time)

    def members(uri: str) -> list[tuple[str, int]]:
        found = []
        for ref in expand(ImageRef(uri), access=access):
            with open_image(ref, access=access) as source:
                found.append((ref.uri, source.info.times))
        return found

    return Readers(tiff, zarr, members)


def _group(uri: str, wanted: str, access: AccessPolicy) -> str:
    """The wanted label group, or the only one."""
    known = list_labels(uri, access=access)
    if wanted in known:
        return wanted
    if len(known) == 1:
        return known[0]
    raise NotFound(
        f"'{uri}' has no labels '{wanted}'; it has {', '.join(known) or 'none'}.", "Name the label group with --labels."
    )


def _read_zarr(source: ImageSource, time: int) -> Pixels:
    """One time point, the brightest channel where there are several; a plane loses its z axis."""
    box = Box.of(source.info.shape)
    pixels = source.read(box, time=time, channel=0)
    for channel in range(1, len(source.info.channels)):
        pixels = np.maximum(pixels, source.read(box, time=time, channel=channel))
    return Pixels(pixels[0] if source.info.is_2d else pixels, source.info.voxel_size)


def _read_tiff(path: str, limit: int) -> Pixels:
    """The first image of a TIFF, with channels last."""
    from pathlib import Path

    from noyau.sources.tiff import open_tiff

    with open_tiff(Path(path)) as raster:
        shape = tuple(int(n) for n in raster.data.shape)
        if math.prod(shape) > limit:
            raise LimitExceeded(
                f"'{path}' claims {math.prod(shape):,} values, more than the limit of {limit:,}.",
                "Cut large images into several pairs.",
            )
        if raster.length("t") > 1:
            raise InvalidInput(
                f"'{path}' holds {raster.length('t')} time points.", "Store every time point in a file of its own."
            )
        pixels = np.asarray(raster.data[tuple(slice(None) for _ in shape)])
        names, spacing = raster.axes.names, raster.spacing
    order = [names.index(n) for n in "tzyxc" if n in names]
    pixels = pixels.transpose(order)
    if "t" in names:
        pixels = pixels[0]
    known = {"y", "x"} <= set(spacing) and ("z" in spacing or "z" not in names)
    size = VoxelSize(spacing.get("z", 1.0), spacing["y"], spacing["x"]) if known else None
    return Pixels(np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder("="), copy=False)), size, "c" in names)
