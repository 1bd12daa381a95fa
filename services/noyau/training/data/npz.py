"""npz files of pairs, read without trust: nothing is executed, and no array is made before its size is known."""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO

import numpy as np
from numpy.lib import format as npy

from noyau.domain.errors import DamagedData, InvalidInput, LimitExceeded, NotFound
from noyau.domain.geometry import VoxelSize
from noyau.training.data.values import Pixels, Sample

# Names under which others store the same things.
IMAGE_KEYS = ("image", "img", "raw", "x")
LABEL_KEYS = ("labels", "label", "masks", "mask", "y")
OTHER_KEYS = ("points", "boxes", "voxel_size", "ignore")
_MOST_MEMBERS = 1000
_MOST_ANNOTATIONS = 10_000_000
_FAILURES = (OSError, ValueError, EOFError, KeyError, struct.error, zlib.error, zipfile.BadZipFile, RuntimeError)


def read_npz(path: str, limit: int, labelled: bool = True) -> Sample:
    """Reads the pair of an npz.

    Args:
        path: of the file.
        limit: voxels that an array may have.
        labelled: whether labels, points or boxes are wanted.

    Raises:
        DamagedData: not an npz, truncated, or an array that cannot be decoded.
        InvalidInput: Python objects instead of numbers, or annotations of a wrong shape.
        NotFound: there is no image in it.
        LimitExceeded: an array is, or claims to be, larger than allowed.
    """
    with _opened(path) as archive:
        members = {name.removesuffix(".npy"): name for name in archive.namelist()}
        image = _first(IMAGE_KEYS, members)
        if image is None:
            raise NotFound(
                f"'{path}' holds no image; it holds {', '.join(sorted(members)[:8]) or 'nothing'}.",
                "A pair has the arrays `image` and `labels` (or `points`, or `boxes`).",
            )
        arrays = {"image": _array(archive, members[image], path, limit)}
        label = _first(LABEL_KEYS, members)
        if labelled and label is not None:
            arrays["labels"] = _array(archive, members[label], path, limit)
        for key in OTHER_KEYS:
            if key in members:
                arrays[key] = _array(archive, members[key], path, _MOST_ANNOTATIONS)
    return _sample(arrays, path)


def _sample(arrays: Mapping[str, np.ndarray], path: str) -> Sample:
    size = _voxel_size(arrays.get("voxel_size"), path)
    labels = arrays.get("labels")
    ignore = arrays.get("ignore")
    if ignore is not None and (ignore.size != 1 or ignore.dtype.kind not in "iu"):
        raise InvalidInput(f"The array `ignore` of '{path}' is not one whole number.")
    return Sample(
        Pixels(arrays["image"], size),
        None if labels is None else Pixels(labels, size),
        arrays.get("points"),
        arrays.get("boxes"),
        None if ignore is None else int(ignore.ravel()[0]),
    )


def _voxel_size(values: np.ndarray | None, path: str) -> VoxelSize | None:
    if values is None:
        return None
    if values.size not in (2, 3) or values.dtype.kind not in "iuf":
        raise InvalidInput(f"The array `voxel_size` of '{path}' is not two or three numbers.")
    numbers = [float(v) for v in values.ravel()]
    return VoxelSize(*([1.0, *numbers] if len(numbers) == 2 else numbers))


def _first(keys: tuple[str, ...], members: Mapping[str, str]) -> str | None:
    return next((key for key in keys if key in members), None)


@contextmanager
def _opened(path: str) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except _FAILURES as error:
        raise DamagedData(
            f"'{path}' is not an npz file, or it is cut off: {error}.", "Copy or write it again."
        ) from error
    with archive:
        if len(archive.infolist()) > _MOST_MEMBERS:
            raise LimitExceeded(f"'{path}' holds {len(archive.infolist())} arrays, which is no pair of images.")
        yield archive


def _array(archive: zipfile.ZipFile, member: str, path: str, limit: int) -> np.ndarray:
    what = f"The array `{member.removesuffix('.npy')}` of '{path}'"
    try:
        with archive.open(member) as stream:
            shape, dtype = _header(stream)
            _refuse_unsafe(what, shape, dtype, limit)
            if math.prod(shape) * dtype.itemsize > archive.getinfo(member).file_size:
                raise DamagedData(f"{what} is cut off: it should hold {math.prod(shape):,} values.")
        with archive.open(member) as stream:
            found: np.ndarray = npy.read_array(stream, allow_pickle=False)
            return found
    except _FAILURES as error:
        raise DamagedData(f"{what} cannot be read: {error}.", "Copy or write the file again.") from error


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = npy.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = npy.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, _, dtype = npy.read_array_header_2_0(stream)
    else:
        raise ValueError(f"unknown npy version {version}")
    return shape, dtype


def _refuse_unsafe(what: str, shape: tuple[int, ...], dtype: np.dtype, limit: int) -> None:
    if dtype.hasobject:
        raise InvalidInput(
            f"{what} holds Python objects (a pickle), which Noyau never loads.", "Store plain arrays of numbers."
        )
    if dtype.kind not in "biuf":
        raise InvalidInput(f"{what} holds values of type {dtype}, which are no numbers.")
    if any(n < 0 for n in shape) or len(shape) > 8:
        raise DamagedData(f"{what} claims the shape {shape}.")
    if math.prod(shape) > limit:
        raise LimitExceeded(
            f"{what} claims {math.prod(shape):,} values, more than the limit of {limit:,}.",
            "Cut large images into several pairs.",
        )
