"""Zarr arrays through tensorstore: open (strict about missing chunks) and create (empty chunks are stored)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import tensorstore as ts

from noyau.domain.errors import InvalidInput, NotFound
from noyau.storage.failures import read_error, write_error
from noyau.storage.store import Store

SHARD_FROM_VOXELS = 2**27
"""Arrays of this many voxels or more are sharded (Zarr 3): a file per 16 Mvoxel instead of one per chunk."""


def open_array(store: Store, key: str, *, strict: bool = True, writable: bool = False) -> ts.TensorStore:
    """Opens a Zarr 2 or 3 array.

    Args:
        store, key: where.
        strict: a missing chunk is an error; otherwise it counts as the fill value.
        writable: open for writing as well.

    Raises:
        NotFound: no array is there.
        DamagedData: its metadata cannot be used.
    """
    driver = "zarr3" if store.read(f"{key}/zarr.json".lstrip("/")) is not None else "zarr"
    if driver == "zarr" and store.read(f"{key}/.zarray".lstrip("/")) is None:
        raise NotFound(f"The array '{key}' that the metadata of {store.uri} names does not exist.")
    spec = {
        "driver": driver,
        "kvstore": store.spec(key),
        "fill_missing_data_reads": not strict,
        "store_data_equal_to_fill_value": True,
        "recheck_cached_metadata": "open",
        "recheck_cached_data": "open",
    }
    try:
        return ts.open(spec, context=store.context, read=True, write=writable, open=True).result()
    except (ValueError, OSError) as error:
        raise read_error(error, store.locate(key)) from error


def create_array(
    store: Store,
    key: str,
    *,
    zarr_format: int,
    shape: Sequence[int],
    dtype: np.dtype,
    chunk: Sequence[int],
    shard: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
) -> ts.TensorStore:
    """Creates an array (little-endian, blosc-zstd, `/` between chunk indices), replacing what is at `key`.

    Args:
        store, key: where.
        zarr_format: 2 or 3.
        shape, chunk: in stored axis order.
        dtype: numpy type of the pixels.
        shard: shape of a shard (a multiple of `chunk`); only with format 3.
        names: dimension names, stored with format 3.
    """
    make = _metadata_v3 if zarr_format == 3 else _metadata_v2
    metadata = make(tuple(shape), np.dtype(dtype), tuple(chunk), tuple(shard) if shard else None, names)
    spec = {
        "driver": "zarr3" if zarr_format == 3 else "zarr",
        "kvstore": store.spec(key),
        "metadata": metadata,
        "store_data_equal_to_fill_value": True,
        "fill_missing_data_reads": False,
    }
    try:
        return ts.open(spec, context=store.context, create=True, delete_existing=True).result()
    except (ValueError, OSError) as error:
        raise write_error(error, store.locate(key)) from error


def read_pixels(view: ts.TensorStore, what: str) -> np.ndarray:
    """The pixels of a view, native endian; errors name the chunk."""
    try:
        return np.asarray(view.read(order="C").result())
    except (ValueError, OSError) as error:
        raise read_error(error, what) from error


def write_pixels(view: ts.TensorStore, pixels: np.ndarray, what: str) -> None:
    """Writes pixels and waits until they are stored."""
    try:
        view.write(pixels).result()
    except (ValueError, OSError) as error:
        raise write_error(error, what) from error


def plan_chunks(
    shape: Sequence[int], axes: str, *, zarr_format: int, voxels: int | None = None
) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """Chunk and shard of an array: chunks of 32 x 256 x 256 (2D: 1024 x 1024), shards of 2 x 2 x 2 of them when large.

    Args:
        shape: stored shape.
        axes: stored axis order.
        zarr_format: shards exist in format 3 only.
        voxels: size that decides about sharding; None means that of the array.
    """
    flat = "z" not in axes or shape[axes.index("z")] == 1
    wanted = {"z": 1 if flat else 32, "y": 1024 if flat else 256, "x": 1024 if flat else 256}
    chunk = tuple(max(1, min(size, wanted.get(axis, 1))) for size, axis in zip(shape, axes, strict=True))
    if zarr_format != 3 or (prod(shape) if voxels is None else voxels) < SHARD_FROM_VOXELS:
        return chunk, None
    shard = tuple(
        c * (min(2, -(-size // c)) if axis in "zyx" else 1) for size, c, axis in zip(shape, chunk, axes, strict=True)
    )
    return chunk, shard


def _metadata_v2(
    shape: tuple[int, ...],
    dtype: np.dtype,
    chunk: tuple[int, ...],
    shard: tuple[int, ...] | None,
    names: Sequence[str] | None,
) -> dict[str, Any]:
    if shard is not None:
        raise InvalidInput("NGFF 0.4 has no shards.", "Choose 0.5 for sharded arrays.")
    return {
        "shape": shape,
        "chunks": chunk,
        "dtype": dtype.newbyteorder("<").str,
        "fill_value": _zero(dtype),
        "dimension_separator": "/",
        "compressor": {"id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 1, "blocksize": 0},
    }


def _metadata_v3(
    shape: tuple[int, ...],
    dtype: np.dtype,
    chunk: tuple[int, ...],
    shard: tuple[int, ...] | None,
    names: Sequence[str] | None,
) -> dict[str, Any]:
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    blosc = {"cname": "zstd", "clevel": 1, "shuffle": "shuffle", "typesize": dtype.itemsize, "blocksize": 0}
    codecs: list[dict[str, Any]] = [little, {"name": "blosc", "configuration": blosc}]
    if shard is not None:
        sharding = {
            "chunk_shape": chunk,
            "codecs": codecs,
            "index_location": "end",
            "index_codecs": [little, {"name": "crc32c"}],
        }
        codecs = [{"name": "sharding_indexed", "configuration": sharding}]
    return {
        "shape": shape,
        "data_type": dtype.name,
        "fill_value": _zero(dtype),
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shard or chunk}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "codecs": codecs,
        **({"dimension_names": list(names)} if names else {}),
    }


def _zero(dtype: np.dtype) -> bool | int | float:
    if dtype.kind == "b":
        return False
    return 0.0 if dtype.kind == "f" else 0
