"""A model package: a folder with `model.json`, `weights.safetensors` and `README.md` (the model card)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from noyau.domain.errors import DamagedData
from noyau.domain.model import ModelInfo
from noyau.models.description import FORMAT, MODEL_FILE, WEIGHTS_FILE, read_info
from noyau.models.networks import DenseNetwork, build

CARD_FILE = "README.md"


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready to run: its description and the network in eval mode, float32, on the CPU."""

    info: ModelInfo
    network: DenseNetwork


def digest_of(weights: bytes) -> str:
    """`sha256:...` of the weights file."""
    return f"sha256:{hashlib.sha256(weights).hexdigest()}"


def write_package(folder: Path, info: ModelInfo, state: Mapping[str, torch.Tensor], card: str) -> ModelInfo:
    """Writes a package and returns its description with the digest filled in.

    Args:
        folder: `<name>/<version>`; made if it is not there, its three files are replaced.
        info: the description; its `digest` is ignored.
        state: weights by name. Floating weights are stored as float16, which halves the file; they run as float32.
        card: Markdown.
    """
    stored = {name: _stored(tensor) for name, tensor in state.items()}
    weights = save(stored, {"format": "noyau", "model": info.ref})
    info = replace(info, digest=digest_of(weights))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS_FILE).write_bytes(weights)
    (folder / CARD_FILE).write_text(card, encoding="utf-8")
    text = json.dumps({"format": FORMAT, **asdict(info)}, indent=1)
    (folder / MODEL_FILE).write_text(text + "\n", encoding="utf-8")
    return info


def read_package(folder: Path) -> LoadedModel:
    """Loads a package after checking its weights against the digest.

    Raises:
        NotFound: there is no package.
        DamagedData: the description or the weights are damaged, tampered with or of another network.
    """
    info = read_info(folder)
    path = folder / WEIGHTS_FILE
    try:
        weights = path.read_bytes()
    except OSError as error:
        raise DamagedData(f"The weights '{path}' of model {info.ref} cannot be read: {error}.") from error
    if digest_of(weights) != info.digest:
        raise DamagedData(
            f"The weights '{path}' of model {info.ref} do not match the digest in {MODEL_FILE}.",
            "Install the model package again.",
        )
    network = build(info.architecture, info.arguments)
    try:
        network.load_state_dict({name: _loaded(tensor) for name, tensor in load(weights).items()})
    except (RuntimeError, SafetensorError) as error:
        raise DamagedData(f"The weights '{path}' do not fit the network of model {info.ref}: {error}.") from error
    return LoadedModel(info, network.eval().requires_grad_(False))


def _stored(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().to(torch.float16 if tensor.is_floating_point() else tensor.dtype).contiguous()


def _loaded(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
