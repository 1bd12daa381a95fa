"""numpy files (`.npz`, `.npy`) as rasters."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from noyau.domain.errors import DamagedData, InvalidInput, NotFound
from noyau.sources.raster import COLOURS, Raster, name_axes


def read_numpy(path: Path, *, key: str = "image", axes: str | None = None, channel_axis: int | None = None) -> Raster:
    """Opens an array of a numpy file.

    Args:
        path: `.npz` or `.npy`; the latter is memory-mapped.
        key: name of the array in an `.npz`; the only array is taken whatever its name.
        axes, channel_axis: see `name_axes`.

    Raises:
        NotFound: the file has no such array (the names are listed).
        DamagedData: the file cannot be decoded.
        InvalidInput: the array holds no numbers.
    """
    data = load_array(path, key)
    named, statement = name_axes(data.shape, axes, channel_axis, path.name)
    coloured = named.names.endswith("xc") and data.shape[-1] in (3, 4)
    return Raster(data, named, {}, COLOURS[: data.shape[-1]] if coloured else (), (statement,) if statement else ())


def load_array(path: Path, key: str) -> np.ndarray:
    """The array of a numpy file; nothing in the file is executed (pickles are refused)."""
    data: np.ndarray
    try:
        if path.suffix == ".npy":
            data = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            # numpy leaves a file open that it cannot read, so it gets one that is closed here.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                data = np.asarray(archive[_pick(archive.files, key, path)])
    except (ValueError, EOFError, KeyError, OSError, zipfile.BadZipFile) as error:
        if "allow_pickle" in str(error):
            raise InvalidInput(f"'{path}' holds Python objects, not a plain array of numbers.") from error
        raise DamagedData(f"'{path}' cannot be read as a numpy file: {error}.") from error
    if data.dtype.kind not in "biuf":
        raise InvalidInput(f"'{path}' holds values of type {data.dtype}, which is no intensity.")
    return data


def has_array(path: Path, key: str) -> bool:
    """Whether an `.npz` holds an array of this name."""
    if path.suffix != ".npz":
        return False
    with np.load(path, allow_pickle=False) as archive:
        return key in archive.files


def _pick(names: list[str], key: str, path: Path) -> str:
    if key in names:
        return key
    if len(names) == 1:
        return names[0]
    raise NotFound(f"'{path}' holds no array '{key}'; it holds {', '.join(names) or 'none'}.", "Name one with --key.")
