"""Weights from an archive, without running anything that it holds."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load

from noyau.domain.errors import DamagedData, InvalidInput, LimitExceeded

LARGEST_HEADER = 16 * 2**20


def read_safetensors(content: bytes, name: str) -> dict[str, torch.Tensor]:
    """Weights by name.

    Raises:
        DamagedData: the file is cut short or its header does not fit it.
        InvalidInput: a weight is not a finite number.
    """
    _check_header(content, name)
    try:
        state = load(content)
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise DamagedData(f"The weights '{name}' cannot be read: {error}.") from error
    return _finite(state, name)


def read_state_dict(content: bytes, name: str, limit: int = 4 * 2**30) -> dict[str, torch.Tensor]:
    """Weights of a PyTorch file, which is a pickle: only tensors are taken out of it, nothing in it is called.

    Raises:
        InvalidInput: the pickle asks for anything but tensors, or a weight is not a finite number.
        LimitExceeded: it unpacks to more than the limit.
        DamagedData: it cannot be read.
    """
    if zipfile.is_zipfile(io.BytesIO(content)):
        _check_parts(content, name, limit)
    try:
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InvalidInput(
            f"The weights '{name}' are a pickle that asks for more than tensors, and could run any program.",
            "Ask its makers for a plain state dict or for safetensors.",
        ) from error
    except Exception as error:  # a damaged pickle may raise anything; none of it is ours
        raise DamagedData(f"The weights '{name}' cannot be read: {_short(error)}.") from error
    if not isinstance(found, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in found.items()
    ):
        raise InvalidInput(
            f"The weights '{name}' are not a state dict (names and tensors).", "Ask its makers for a plain state dict."
        )
    _check_storage(found, name, len(content))
    return _finite({key: value.contiguous() for key, value in found.items()}, name)


def read_npy(content: bytes, name: str) -> np.ndarray:
    """An array of numbers from a `.npy` file, whose header must fit its length.

    Raises:
        DamagedData: it is not such a file.
    """
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        count = 1
        for size in shape:
            count *= int(size)
        if dtype.kind not in "fiub" or count * dtype.itemsize != len(content) - file.tell():
            raise ValueError(f"its header speaks of {shape} values of type {dtype}")
        array: np.ndarray = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # the header is parsed as a Python literal, which fails in many ways
        raise DamagedData(f"The array '{name}' cannot be read: {_short(error)}.") from error
    return array


def _check_header(content: bytes, name: str) -> None:
    """The header's length comes first; a wrong one could ask for all memory."""
    if len(content) < 8:
        raise DamagedData(f"The weights '{name}' are no safetensors file: it has {len(content)} bytes.")
    (length,) = struct.unpack("<Q", content[:8])
    if length > min(LARGEST_HEADER, len(content) - 8):
        raise DamagedData(
            f"The weights '{name}' claim a header of {length:,} bytes, and the file has {len(content):,}."
        )
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise DamagedData(f"The header of the weights '{name}' is no JSON: {_short(error)}.") from error
    if not isinstance(header, dict):
        raise DamagedData(f"The header of the weights '{name}' is not a mapping.")


def _check_parts(content: bytes, name: str, limit: int) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            total = sum(part.file_size for part in parts.infolist())
    except zipfile.BadZipFile as error:
        raise DamagedData(f"The weights '{name}' cannot be read: {error}.") from error
    if total > min(limit, 4 * len(content) + 2**20):
        raise LimitExceeded(f"The weights '{name}' unpack to {total:,} bytes from {len(content):,}: a zip bomb.")


def _check_storage(state: dict[str, torch.Tensor], name: str, size: int) -> None:
    """Strides of zero make a tensor of any size out of one number; the copy would fill the memory."""
    total = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if total > 2 * size + 2**20:
        raise LimitExceeded(f"The weights '{name}' stand for {total:,} bytes in a file of {size:,}.")


def _finite(state: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    for key, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InvalidInput(f"The weights '{name}' hold values that are not numbers (NaN or infinite) in '{key}'.")
    return state


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
