"""Reads what a model package says of itself, without torch: coordinators list models, workers load them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from noyau.domain.errors import DamagedData, InvalidInput, NotFound
from noyau.domain.geometry import VoxelSize, as_index
from noyau.domain.model import ModelInfo, Normalisation, VoteParams

MODEL_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"
FORMAT = 1


def read_info(folder: Path) -> ModelInfo:
    """The description of a package, without its weights.

    Raises:
        NotFound: there is no package.
        DamagedData: `model.json` cannot be understood.
    """
    path = folder / MODEL_FILE
    if not path.is_file():
        raise NotFound(f"There is no model package at '{folder}'.", f"A package holds {MODEL_FILE} and {WEIGHTS_FILE}.")
    try:
        text = path.read_bytes()
    except OSError as error:
        raise DamagedData(f"The model description '{path}' cannot be read: {error}.") from error
    return parse_info(text, str(path))


def parse_info(text: bytes, where: str) -> ModelInfo:
    """The description in the bytes of a `model.json`.

    Raises:
        DamagedData: it cannot be understood; the message names `where`.
    """
    try:
        return _info_from(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, InvalidInput) as error:
        raise DamagedData(f"The model description '{where}' cannot be read: {error}.") from error


def _info_from(stored: dict[str, Any]) -> ModelInfo:
    values = dict(stored)
    if values.pop("format", None) != FORMAT:
        raise ValueError(f"its format is not {FORMAT}")
    for name in ("halo", "stride", "tile"):
        values[name] = as_index(values[name])
    size = values["voxel_size"]
    values["voxel_size"] = VoxelSize(**size) if size else None
    normalisation = dict(values["normalisation"])
    low, high = normalisation["clip"]
    normalisation["steps"] = tuple(normalisation.get("steps", ()))
    values["normalisation"] = Normalisation(**{**normalisation, "clip": (low, high)})
    vote: dict[str, Any] = {k: as_index(v) if isinstance(v, list) else v for k, v in values["vote"].items()}
    values["vote"] = VoteParams(**vote)
    values["cite"] = tuple(values.get("cite", ()))
    return ModelInfo(**values)
