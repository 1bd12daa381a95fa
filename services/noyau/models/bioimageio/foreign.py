"""Another maker's archive as a model package of ours: its description, its test tensors, and one set of its weights."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from noyau.domain.errors import DamagedData, InvalidInput, NoyauError
from noyau.domain.model import ModelInfo, Normalisation, VoteParams
from noyau.models.bioimageio.archive import Archive
from noyau.models.bioimageio.arguments import check_arguments
from noyau.models.bioimageio.layout import Layout, joins_by_vote, lay_out
from noyau.models.bioimageio.objects import BORDER, ObjectRule
from noyau.models.bioimageio.onnx import check_onnx
from noyau.models.bioimageio.reading import Description, File, Weights, parse
from noyau.models.bioimageio.torchscript import check_torchscript
from noyau.models.bioimageio.trial import try_out
from noyau.models.bioimageio.weights import read_npy, read_state_dict
from noyau.models.foreign.networks import MONAI, ONNX, TORCHSCRIPT, state_of
from noyau.models.package import write_package
from noyau.models.sample import Sample

_LIBRARY = "monai.networks.nets"
_DIAMETER = {2: 30.0, 3: 12.0}
LARGEST_TEST = 64 * 2**20


@dataclass(frozen=True)
class _Chosen:
    """Weights that can be run: the architecture, its arguments, and the state that safetensors holds."""

    architecture: str
    arguments: dict[str, Any]
    state: Mapping[str, torch.Tensor]


def unpack_foreign(
    archive: Archive,
    document: dict[str, Any],
    staging: Path,
    *,
    name: str | None,
    rule: ObjectRule | None,
    allow_torchscript: bool,
) -> ModelInfo:
    """Writes the package of another maker's archive into a folder, after its test input gave its test output.

    Raises:
        InvalidInput, DamagedData, LimitExceeded: it cannot be run here; the message says why.
    """
    found = parse(document, archive.path.name)
    layout = lay_out(found, rule)
    source, target = found.inputs[0], found.outputs[layout.processing["output"]["index"]]
    tensor, expected = _test(archive, source.test_tensor), _test(archive, target.test_tensor)
    chosen = _choose(archive, found, allow_torchscript)
    if chosen.architecture in (ONNX, TORCHSCRIPT):
        content = chosen.state[chosen.architecture].numpy().tobytes()
        trial = staging.with_name(f"{staging.name}-trial")
        try_out(trial, chosen.architecture, content, layout.processing, tensor)
    info = _info(found, layout, chosen, name)
    return write_package(staging, info, chosen.state, _card(archive, found, info), sample=Sample(tensor, expected))


def _test(archive: Archive, file: File | None) -> np.ndarray:
    if file is None:
        raise InvalidInput(
            "The archive has no test input and output, so nobody can tell whether the model works here.",
            "Ask its makers for an archive that passes `bioimageio test`.",
        )
    content = _file(archive, file)
    if len(content) > LARGEST_TEST:
        raise InvalidInput(f"The test tensor '{file.source}' has {len(content):,} bytes, more than {LARGEST_TEST:,}.")
    return read_npy(content, file.source).astype(np.float32)


def _file(archive: Archive, file: File) -> bytes:
    """A file of the archive, checked against the digest that the description gives."""
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", file.source):
        raise InvalidInput(
            f"The archive names a file elsewhere ({file.source[:100]}); nothing is fetched from the network.",
            "Get the complete package, for example with `bioimageio package`.",
        )
    content = archive.read(file.source)
    if file.sha256 and hashlib.sha256(content).hexdigest() != file.sha256.lower():
        raise DamagedData(
            f"The file '{file.source}' in the archive '{archive.path.name}' does not match the digest in its "
            "description.",
            "Get the archive again.",
        )
    return content


def _choose(archive: Archive, found: Description, allow_torchscript: bool) -> _Chosen:
    """The first set of weights that can be run, the safest kinds first."""
    reasons = []
    for kind, weights in (
        ("pytorch_state_dict", found.weights.pytorch_state_dict),
        (ONNX, found.weights.onnx),
        (TORCHSCRIPT, found.weights.torchscript),
    ):
        if weights is None:
            continue
        refusal = _refusal(kind, weights, allow_torchscript)
        if not refusal:
            return _read(archive, kind, weights)
        reasons.append(f"{kind}: {refusal}")
    listed = "; ".join(reasons) or "it holds neither a PyTorch state dict nor ONNX nor TorchScript"
    raise InvalidInput(
        f"No weights in '{archive.path.name}' can be run: {listed}.",
        "Ask its makers for ONNX weights, or for a state dict of a network of MONAI.",
    )


def _refusal(kind: str, weights: Weights, allow_torchscript: bool) -> str:
    if kind == TORCHSCRIPT and not allow_torchscript:
        return "TorchScript is a program, and is only taken with --allow-torchscript"
    if kind == ONNX and weights.external_data is not None:
        return "the ONNX graph is not in one file"
    if kind != "pytorch_state_dict":
        return ""
    network = weights.architecture
    if network is None:
        return "it does not say which network they are for"
    if network.source is not None:
        return f"its network is code of its own ('{network.source[:60]}'), which is never run"
    library = network.import_from or ""
    if library != _LIBRARY and not library.startswith(f"{_LIBRARY}."):
        return f"its network '{library[:60]}.{network.callable[:60]}' is not one of the known ones ({_LIBRARY})"
    return ""


def _read(archive: Archive, kind: str, weights: Weights) -> _Chosen:
    content = _file(archive, weights.file)
    if kind == ONNX:
        check_onnx(content, weights.source)
        return _Chosen(ONNX, {}, state_of(ONNX, content))
    if kind == TORCHSCRIPT:
        check_torchscript(content, weights.source)
        return _Chosen(TORCHSCRIPT, {}, state_of(TORCHSCRIPT, content))
    network = weights.architecture
    if network is None:
        raise InvalidInput("The weights do not say which network they are for.")
    check_arguments(network.kwargs, network.callable)
    return _Chosen(f"{MONAI}:{network.callable}", network.kwargs, read_state_dict(content, weights.source))


def _info(found: Description, layout: Layout, chosen: _Chosen, name: str | None) -> ModelInfo:
    rule = layout.rule
    version = str(found.version) if found.version is not None else "1"
    clean = name or re.sub(r"[^a-z0-9]+", "-", found.name.lower()).strip("-")[:64] or "imported"
    vote = joins_by_vote(rule)
    return ModelInfo(
        name=clean,
        version=version if re.fullmatch(r"[0-9][A-Za-z0-9_.+-]{0,31}", version) else "1",
        digest="",
        ndim=layout.ndim,
        architecture=chosen.architecture,
        arguments=chosen.arguments,
        voxel_size=layout.voxel_size,
        diameter=_DIAMETER[layout.ndim],
        halo=layout.halo,
        stride=layout.stride,
        tile=layout.tile,
        normalisation=Normalisation(steps=tuple(layout.processing["input"]["steps"])),
        decoder="vote" if vote else rule.kind,
        vote=_vote(layout) if vote else VoteParams(),
        parameters={} if vote else _parameters(layout),
        bounded=False,
        description=found.description[:2000] or found.name,
        licence=found.license or "",
        kind=rule.kind,
        processing=layout.processing,
        author=", ".join(person.name for person in found.authors)[:500],
        cite=tuple(" ".join(filter(None, (entry.text, entry.doi, entry.url)))[:1000] for entry in found.cite[:50]),
        training={"imported_from": f"bioimage.io archive {found.id or found.name}"},
    )


def _parameters(layout: Layout) -> dict[str, Any]:
    """Parameters of the decoder for a map of the foreground, or of foreground and border."""
    common = {
        "foreground": layout.rule.threshold,
        "min_voxels": 60 if layout.ndim == 3 else 15,
        "overlap": list(layout.halo),
    }
    return common if layout.rule.kind == BORDER else {**common, "neck": 1.0}


def _vote(layout: Layout) -> VoteParams:
    """Every voxel of an object votes for its middle exactly, so that nothing needs smoothing."""
    reach = [min(127, max(2 * h, 64)) if h else 0 for h in layout.halo]
    return VoteParams(
        foreground=0.5,
        seed_mass=4.0,
        smooth=(0, 0, 0),
        nms=(0, 0, 0),
        rival_radius=8,
        rival_percent=50,
        weights=(1, 1, 1),
        radius=8,
        max_offset=(reach[0], reach[1], reach[2]),
        min_voxels=60 if layout.ndim == 3 else 15,
    )


def _card(archive: Archive, found: Description, info: ModelInfo) -> str:
    """The maker's own documentation, below what we know of the model."""
    how = {
        "foreground": "voxels above the threshold that touch are one object",
        "border": "what is foreground and not border is a seed, and grows over the foreground by watershed",
        "labels": "the network names objects, whose parts in neighbouring windows are joined by their middles",
    }[info.kind]
    head = (
        f"# {found.name}\n\n{found.description}\n\nImported from the bioimage.io archive `{archive.path.name}`; by "
        f"{info.author or 'unknown authors'}, licence {info.licence or 'not given'}. Objects: {how}. They are found "
        "window by window, so that a nucleus on the edge of two windows may differ from what one window would give.\n"
    )
    file = File(source=found.documentation) if isinstance(found.documentation, str) else found.documentation
    if file is None:
        return head
    try:
        text = _file(archive, file)[:500_000].decode("utf-8", "replace")
    except NoyauError:
        return f"{head}\nIts documentation is not in the archive.\n"
    return f"{head}\n## Documentation of the maker\n\n{text}"
