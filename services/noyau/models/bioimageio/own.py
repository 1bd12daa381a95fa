"""Reading back an archive that `exporting` wrote: our package, file by file, after checking all of it."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from noyau.domain.errors import DamagedData, InvalidInput, LimitExceeded
from noyau.domain.model import ModelInfo
from noyau.models.bioimageio.archive import Archive
from noyau.models.bioimageio.arguments import check_arguments
from noyau.models.bioimageio.weights import read_safetensors
from noyau.models.description import MODEL_FILE, WEIGHTS_FILE, parse_info
from noyau.models.foreign.networks import LARGEST_NETWORK, is_foreign
from noyau.models.networks import build
from noyau.models.sample import SAMPLE_FILE
from noyau.models.writing import write_file

_SUFFIXES = (".json", ".jsonl", ".safetensors", ".npz", ".md", ".png", ".csv", ".txt", ".yaml")
"""Kinds of files that a package of ours holds; anything else is left out."""
_LONGEST = {"halo": 512, "stride": 256, "tile": 4096}
_VOTE = {"smooth": 64, "nms": 128, "radius": 512, "rival_radius": 512, "max_offset": 127, "weights": 10_000}


def unpack_own(archive: Archive, entry: dict[str, Any], staging: Path) -> ModelInfo:
    """Writes the package of an archive into a folder.

    Args:
        archive: the archive.
        entry: `config.noyau` of its description.
        staging: the folder.

    Raises:
        DamagedData: a file is missing, or is not what its digest says.
        InvalidInput: the description or the weights are not acceptable.
    """
    listed = entry.get("package")
    if not isinstance(listed, dict) or not {MODEL_FILE, WEIGHTS_FILE, SAMPLE_FILE} <= set(listed):
        raise DamagedData(f"The archive '{archive.path.name}' does not name the files of its package.")
    contents = {str(name): _checked(archive, str(name), digest) for name, digest in listed.items()}
    info = parse_info(contents[MODEL_FILE], f"{archive.path.name}/{MODEL_FILE}")
    state = read_safetensors(contents[WEIGHTS_FILE], WEIGHTS_FILE)
    check_own(info, state)
    for name, content in contents.items():
        if PurePosixPath(name).suffix.lower() in _SUFFIXES:
            write_file(staging / name, content)
    return info


def check_own(info: ModelInfo, state: dict[str, torch.Tensor]) -> None:
    """Refuses descriptions that would make the service allocate without bounds or run another maker's program.

    Raises:
        InvalidInput, LimitExceeded: the message says what.
    """
    if is_foreign(info.architecture) or info.processing or info.normalisation.steps:
        raise InvalidInput(f"The model {info.ref} claims to be of this software, and its network is not.")
    for name, most in _LONGEST.items():
        if not all(0 <= value <= most for value in getattr(info, name)):
            raise LimitExceeded(f"The {name} {getattr(info, name)} of model {info.ref} is not between 0 and {most}.")
    for field in fields(info.vote):
        value = getattr(info.vote, field.name)
        limit = _VOTE.get(field.name)
        if limit and not all(0 <= v <= limit for v in (value if isinstance(value, tuple) else (value,))):
            raise LimitExceeded(f"The decoder's {field.name} {value} of model {info.ref} is above {limit}.")
    check_arguments(info.arguments, info.architecture)
    check_arguments(info.parameters, info.decoder)
    with torch.device("meta"):  # allocates nothing, whatever widths are asked for
        network = build(info.architecture, info.arguments)
    if sum(p.numel() for p in network.parameters()) > LARGEST_NETWORK:
        raise LimitExceeded(f"The network of model {info.ref} has too many parameters.")
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if wanted != found:
        odd = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
        raise InvalidInput(
            f"The weights do not fit the network of model {info.ref}: '{odd[0]}' has the shape {found.get(odd[0])} "
            f"instead of {wanted.get(odd[0])}."
        )


def _checked(archive: Archive, name: str, digest: Any) -> bytes:
    content = archive.read(name)
    if hashlib.sha256(content).hexdigest() != digest:
        raise DamagedData(
            f"The file '{name}' in the archive '{archive.path.name}' does not match the digest in its description.",
            "Get the archive again.",
        )
    return content
