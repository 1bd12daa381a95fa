"""Writes a raster as an OME-Zarr image or label image with its pyramid, slab by slab."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import tensorstore as ts

from noyau.domain.axes import Axes
from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import Index3
from noyau.sources.raster import Raster
from noyau.storage.arrays import create_array, plan_chunks
from noyau.storage.conformance import require_conformant
from noyau.storage.groups import NGFF_ZARR_FORMAT, write_group
from noyau.storage.multiscale import Level, Multiscale, build_multiscale
from noyau.storage.pyramid import (
    Reduce,
    boxes,
    coarser,
    fill_level,
    plan_steps,
    reduce_first,
    reduce_mean,
    volume_view,
    write_box,
)
from noyau.storage.store import Store

SLAB_BYTES = 256 * 2**20
COLOURS = ("00FF00", "FF00FF", "00FFFF", "FFFF00", "FF0000", "0000FF", "FFFFFF")


@dataclass(frozen=True)
class _Plan:
    axes: str
    shape: tuple[int, ...]
    steps: list[Index3]
    multiscale: Multiscale


def write_image(store: Store, raster: Raster, name: str, ngff: str, check: Callable[[], None]) -> int:
    """Writes the image into the root of `store`; the group's documents come last. Returns the number of levels."""
    plan = _plan(raster, name)
    coarsest = _write_levels(store, "", raster, plan, ngff, raster.dtype, reduce_mean, check)
    entry = build_multiscale(plan.multiscale, ngff, "mean")
    require_conformant(entry, ngff)
    windows = [_window(coarsest, plan.axes, channel) for channel in range(raster.length("c"))]
    write_group(store, "", ngff, {"multiscales": [entry], "omero": _omero(raster, windows)})
    return len(plan.steps) + 1


def write_label_image(store: Store, key: str, raster: Raster, name: str, ngff: str, check: Callable[[], None]) -> None:
    """Writes a label image (uint32) with `image-label` metadata."""
    plan = _plan(raster, name)
    _write_levels(store, key, raster, plan, ngff, np.dtype(np.uint32), reduce_first, check)
    entry = build_multiscale(plan.multiscale, ngff, "nearest")
    label = {"version": ngff, "source": {"image": "../../"}}
    write_group(store, key, ngff, {"multiscales": [entry], "image-label": label})


def _plan(raster: Raster, name: str) -> _Plan:
    axes = "".join(n for n in "tczyx" if n in raster.axes)
    shape = tuple(raster.length(n) for n in axes)
    spacing = [raster.spacing.get(n, 1.0) for n in "zyx"]
    steps = plan_steps((raster.length("z"), raster.length("y"), raster.length("x")), spacing)
    levels, total = [], dict.fromkeys(axes, 1.0)
    for number in range(len(steps) + 1):
        if number:
            for n, f in zip("zyx", steps[number - 1], strict=True):
                if n in total:
                    total[n] *= f
        size = {n: raster.spacing.get(n, 1.0) for n in axes}
        # The first voxel of a coarse level covers `total` fine ones: its centre lies in the middle of them.
        moved = tuple((total[n] - 1) / 2 * size[n] for n in axes)
        levels.append(Level(str(number), tuple(size[n] * total[n] for n in axes), moved))
    units = tuple("micrometer" if n in raster.spacing else None for n in axes)
    return _Plan(axes, shape, steps, Multiscale(Axes(axes), units, tuple(levels), name))


def _write_levels(
    store: Store,
    key: str,
    raster: Raster,
    plan: _Plan,
    ngff: str,
    dtype: np.dtype,
    reduce: Reduce,
    check: Callable[[], None],
) -> ts.TensorStore:
    """Writes all levels; returns the coarsest."""
    volume = (raster.length("z"), raster.length("y"), raster.length("x"))
    previous: ts.TensorStore | None = None
    for number in range(len(plan.steps) + 1):
        step = plan.steps[number - 1] if number else (1, 1, 1)
        volume = coarser(volume, step)
        path = f"{key}/{number}".lstrip("/")
        array, unit = _create(store, path, plan, volume, ngff, dtype)
        if previous is None:
            _write_finest(array, raster, plan.axes, unit, store.locate(path), check)
        else:
            fill_level(previous, array, plan.axes, step, reduce, unit=unit, what=store.locate(path), check=check)
        previous = array
    return array


def _create(
    store: Store, path: str, plan: _Plan, volume: Index3, ngff: str, dtype: np.dtype
) -> tuple[ts.TensorStore, Index3]:
    sizes = dict(zip("zyx", volume, strict=True))
    shape = tuple(sizes.get(n, full) for n, full in zip(plan.axes, plan.shape, strict=True))
    zarr_format = NGFF_ZARR_FORMAT[ngff]
    chunk, shard = plan_chunks(shape, plan.axes, zarr_format=zarr_format)
    array = create_array(
        store, path, zarr_format=zarr_format, shape=shape, dtype=dtype, chunk=chunk, shard=shard, names=list(plan.axes)
    )
    axes, unit = Axes(plan.axes), shard or chunk
    return array, (axes.size(unit, "z"), axes.size(unit, "y"), axes.size(unit, "x"))


def _write_finest(
    array: ts.TensorStore, raster: Raster, axes: str, unit: Index3, what: str, check: Callable[[], None]
) -> None:
    """Copies the pixels in bands of whole write units, so that a file larger than the memory passes through."""
    volume = (raster.length("z"), raster.length("y"), raster.length("x"))
    row = unit[0] * unit[1] * volume[2] * raster.dtype.itemsize
    band = (unit[0], unit[1] * max(1, SLAB_BYTES // row), volume[2])
    for time, channel in product(range(raster.length("t")), range(raster.length("c"))):
        view = volume_view(array, axes, time, channel)
        for box in boxes(volume, band):
            check()
            pixels = raster.read(box, time, channel)
            if array.dtype.name == "uint32" and pixels.dtype.name != "uint32":
                pixels = as_labels(pixels, what)
            write_box(view, box, pixels, what)


def as_labels(pixels: np.ndarray, what: str) -> np.ndarray:
    """Labels as uint32; numbers that do not fit are refused."""
    if pixels.size and (pixels.dtype.kind not in "biu" or int(pixels.min()) < 0 or int(pixels.max()) > 2**32 - 1):
        raise InvalidInput(f"The labels of '{what}' are not whole numbers from 0 to 4294967295.")
    return pixels.astype(np.uint32)


def _window(coarsest: ts.TensorStore, axes: str, channel: int) -> dict[str, float]:
    """A display window from the darkest to the brightest pixels of the coarsest level (of its first time point)."""
    view = volume_view(coarsest, axes, 0, channel)
    plane = np.asarray(view[tuple(slice(None, None, max(1, n // 128)) for n in view.shape)].read().result())
    values = plane[np.isfinite(plane)] if plane.dtype.kind == "f" else plane.astype(np.float32)
    kind = np.iinfo(plane.dtype) if plane.dtype.kind in "iu" else None
    low, high = (float(v) for v in np.percentile(values, (1, 99.9))) if values.size else (0.0, 1.0)
    least, most = (float(kind.min), float(kind.max)) if kind else (min(0.0, low), max(1.0, high))
    return {"min": least, "max": most, "start": low, "end": high if high > low else low + 1}


def _omero(raster: Raster, windows: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Channel names, colours and display windows."""
    count = raster.length("c")
    names = raster.channels if len(raster.channels) == count else tuple(str(i) for i in range(count))
    colours = ["FFFFFF"] if count == 1 else [COLOURS[i % len(COLOURS)] for i in range(count)]
    return {
        "channels": [
            {"label": name, "color": colour, "active": True, "window": window}
            for name, colour, window in zip(names, colours, windows, strict=True)
        ],
        "rdefs": {"model": "greyscale" if count == 1 else "color", "defaultZ": raster.length("z") // 2, "defaultT": 0},
    }
