"""A model package: a folder with `model.json`, `weights.safetensors`, `README.md` (the model card) and a test input."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from noyau.domain.errors import DamagedData
from noyau.domain.model import ModelInfo
from noyau.models.description import FORMAT, MODEL_FILE, WEIGHTS_FILE, read_info
from noyau.models.foreign.networks import build_foreign, is_foreign
from noyau.models.networks import build
from noyau.models.sample import SAMPLE_FILE, Sample, differs, make_sample, read_sample, sample_bytes
from noyau.models.software import software
from noyau.models.writing import write_file

CARD_FILE = "README.md"


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready to run: its description and the network in eval mode, float32, on the CPU."""

    info: ModelInfo
    network: nn.Module


def digest_of(weights: bytes) -> str:
    """`sha256:...` of the weights file."""
    return f"sha256:{hashlib.sha256(weights).hexdigest()}"


def write_package(
    folder: Path, info: ModelInfo, state: Mapping[str, torch.Tensor], card: str, *, sample: Sample | None = None
) -> ModelInfo:
    """Writes a package with a test input and returns its description with the digest filled in.

    Args:
        folder: `<name>/<version>`; made if it is not there, its files are replaced.
        info: the description; its `digest` is ignored, and `software` is filled in where it is empty.
        state: weights by name. Floating weights are stored as float16, which halves the file; they run as float32.
        card: Markdown.
        sample: test input and answer; None draws an image and stores what the network says of it.

    Raises:
        InvalidInput, DamagedData: the weights do not fit the network, or its answer holds NaN.
        NoyauError: the disk is full or read-only.
    """
    keep = is_foreign(info.architecture)  # another maker's weights as they came
    stored = {name: tensor.detach().cpu().contiguous() if keep else _stored(tensor) for name, tensor in state.items()}
    # One entry only: safetensors writes several in random order, and equal weights must have equal digests.
    weights = save(stored, {"noyau": info.ref})
    info = replace(info, digest=digest_of(weights), software=info.software or software())
    network = _network(info, stored, "the given weights")
    content = sample_bytes(sample or make_sample(info, network))
    text = json.dumps({"format": FORMAT, **asdict(info)}, indent=1)
    write_file(folder / WEIGHTS_FILE, weights)
    write_file(folder / CARD_FILE, card.encode())
    write_file(folder / SAMPLE_FILE, content)
    write_file(folder / MODEL_FILE, f"{text}\n".encode())
    return info


def read_package(folder: Path, *, compare: bool = True) -> LoadedModel:
    """Loads a package after checking its weights against the digest.

    Args:
        folder: of the package.
        compare: run the stored test input, where there is one, and refuse a package that gives another answer.

    Raises:
        NotFound: there is no package.
        DamagedData: the description or the weights are damaged, tampered with or of another network, or the network
            does not answer its test input as it did when the package was made.
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
    try:
        state = load(weights)
    except SafetensorError as error:
        raise DamagedData(f"The weights '{path}' do not fit the network of model {info.ref}: {error}.") from error
    loaded = LoadedModel(info, _network(info, state, f"the weights '{path}'"))
    if compare:
        _compare(loaded, folder)
    return loaded


def _network(info: ModelInfo, state: Mapping[str, torch.Tensor], what: str) -> nn.Module:
    """The network of a description with its weights, ready to run."""
    if is_foreign(info.architecture):
        return build_foreign(info.architecture, info.arguments, state)
    network = build(info.architecture, info.arguments)
    try:
        network.load_state_dict({name: _loaded(tensor) for name, tensor in state.items()})
    except RuntimeError as error:
        raise DamagedData(
            f"{what[0].upper()}{what[1:]} do not fit the network of model {info.ref}: {error}."
        ) from error
    return network.eval().requires_grad_(False)


def _compare(loaded: LoadedModel, folder: Path) -> None:
    sample = read_sample(folder)
    difference = differs(loaded.info, loaded.network, sample) if sample else ""
    if difference:
        raise DamagedData(
            f"The model {loaded.info.ref} in '{folder}' no longer answers its own test input as it did: {difference}.",
            "Install the package again; it was made with other software or changed since, and is not served.",
        )


def _stored(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().to(torch.float16 if tensor.is_floating_point() else tensor.dtype).contiguous()


def _loaded(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
