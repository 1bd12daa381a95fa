"""What a job keeps on disk between its stages: predictions by tile, provisional labels and summaries by unit.

Every tile and unit has files of its own, so that a write never touches what another task wrote, whatever the shapes.
A file is complete when the ledger says so; anything else is written again.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import tensorstore as ts

from noyau.assembly.objects import Objects
from noyau.domain.errors import DamagedData, NoyauError
from noyau.domain.geometry import Box
from noyau.inference.backend import CHANNELS
from noyau.planning.grid import Grid, Tile
from noyau.storage.failures import read_error, write_error

_CHUNK = 64
"""Edge of a chunk: a decoder reads halos, so chunks are small against a tile."""


class PredictionStore:
    """Quantised predictions of one image and time point, one compressed array per tile.

    Args:
        folder: where the arrays live.
        grid: the grid whose cores are stored.
        planes: channels of the predictions.
    """

    def __init__(self, folder: Path, grid: Grid, planes: int = CHANNELS) -> None:
        self._planes = planes
        self._folder = folder
        self._grid = grid
        self._context = ts.Context({"cache_pool": {"total_bytes_limit": 0}, "data_copy_concurrency": {"limit": 2}})

    def write(self, tile: Tile, prediction: np.ndarray) -> None:
        """Stores the core of a tile, uint8 (planes, Z, Y, X); returns when it is on the disk."""
        _write(self._folder / tile.name, prediction, self._context)

    def read(self, box: Box) -> np.ndarray:
        """The prediction of a box inside the grid's shape, uint8 (planes, Z, Y, X), put together from its tiles."""
        result = np.empty((self._planes, *box.shape), np.uint8)
        for index in self._grid.touching(box):
            tile = self._grid.tiles[index]
            part = tile.core.intersection(box)
            source = (slice(None), *part.relative_to(tile.core.start).slices)
            target = (slice(None), *part.relative_to(box.start).slices)
            result[target] = _read(self._folder / tile.name, source, self._context)
        return result


class LabelStore:
    """Provisional labels of one image and time point, one compressed array per unit, and the units' summaries."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._context = ts.Context({"cache_pool": {"total_bytes_limit": 0}, "data_copy_concurrency": {"limit": 2}})

    def write(self, name: str, labels: np.ndarray, objects: Objects) -> None:
        """Stores a unit's provisional labels, int64 (Z, Y, X), and its summary."""
        _write(self._folder / name, labels, self._context)
        part = self._folder / f".{name}.{uuid4().hex}"
        try:
            with part.open("wb") as file:
                np.savez(file, allow_pickle=False, **asdict(objects))
            # In one step: another process may be writing the same, and a third one reading it.
            part.replace(self._folder / f"{name}.npz")
        except OSError as error:
            raise write_error(error, str(self._folder)) from error

    def read(self, name: str) -> np.ndarray:
        """A unit's provisional labels."""
        return _read(self._folder / name, (slice(None),) * 3, self._context)

    def write_window(self, name: str, labels: np.ndarray) -> None:
        """Stores the labels of a unit and its overlap with its neighbours, int64 (Z, Y, X)."""
        _write(self._folder / f"{name}-window", labels, self._context)

    def read_window(self, name: str, part: Box) -> np.ndarray:
        """A part of what `write_window` stored; its box starts at the window's first voxel."""
        return _read(self._folder / f"{name}-window", part.slices, self._context)

    def objects(self, name: str) -> Objects:
        """A unit's summary."""
        try:
            with np.load(self._folder / f"{name}.npz", allow_pickle=False) as columns:
                return Objects(**columns)
        except (OSError, ValueError, TypeError) as error:
            raise DamagedData(
                f"The scratch file {name}.npz of the job cannot be read.", "Run the job again."
            ) from error


def remove(folder: Path) -> None:
    """Removes a scratch folder with everything in it; one that is not there is fine."""
    shutil.rmtree(folder, ignore_errors=True)


def _write(path: Path, array: np.ndarray, context: ts.Context) -> None:
    lead = array.ndim - 3
    chunk = [1] * lead + [min(_CHUNK, n) for n in array.shape[lead:]]
    shard = [-(-n // c) * c for n, c in zip(array.shape, chunk, strict=True)]
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    sharding = {
        "chunk_shape": chunk,
        "codecs": [little, {"name": "blosc", "configuration": _blosc(array.dtype.itemsize)}],
        "index_codecs": [little, {"name": "crc32c"}],
    }
    spec = _spec(path) | {
        "metadata": {
            "shape": array.shape,
            "data_type": array.dtype.name,
            # One shard holds the whole array: a file to write and to remove instead of a tree.
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shard}},
            "chunk_key_encoding": {"name": "v2", "configuration": {"separator": "."}},
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        },
        "store_data_equal_to_fill_value": True,
    }
    try:
        _opened(spec, context).write(array).result()
    except (ValueError, OSError) as error:
        raise _named(write_error(error, str(path))) from error


def _opened(spec: dict[str, Any], context: ts.Context) -> ts.TensorStore:
    """The array to write to: that of an earlier attempt where it is alike, so that readers never miss it."""
    try:
        return ts.open(spec, context=context, create=True, open=True).result()
    except ValueError:
        return ts.open(spec, context=context, create=True, delete_existing=True).result()


def _read(path: Path, part: tuple[slice, ...], context: ts.Context) -> np.ndarray:
    try:
        array = ts.open(_spec(path) | {"fill_missing_data_reads": False}, context=context, open=True).result()
        return np.asarray(array[part].read().result())
    except (ValueError, OSError) as error:
        raise _named(read_error(error, str(path))) from error


def _spec(path: Path) -> dict[str, Any]:
    return {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path}/"}}


def _blosc(item: int) -> dict[str, Any]:
    shuffle = "shuffle" if item > 1 else "noshuffle"
    return {"cname": "lz4", "clevel": 1, "shuffle": shuffle, "typesize": item, "blocksize": 0}


def _named(error: NoyauError) -> NoyauError:
    """The error with a sentence that tells the user's data and the scratch apart."""
    return type(error)(f"In the scratch folder of the job: {error.cause}", error.remedy)
