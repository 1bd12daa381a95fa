"""The description of an archive of ours, `bioimageio.yaml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from noyau.domain.geometry import Index3
from noyau.domain.model import ModelInfo
from noyau.models.bioimageio import names
from noyau.models.bioimageio.network import exported_arguments
from noyau.models.description import WEIGHTS_FILE

_CALLABLE = ("noyau.models.bioimageio.network", "exported_network")


@dataclass(frozen=True)
class Facts:
    """What the description is made of.

    Attributes:
        info: the package's own description.
        minimum: smallest input z/y/x.
        channels: of the output.
        pytorch: version of torch.
        digests: sha256 of every file by its name, hexadecimal.
        package: which of them are the package itself.
    """

    info: ModelInfo
    minimum: Index3
    channels: int
    pytorch: str
    digests: Mapping[str, str]
    package: tuple[str, ...]

    def file(self, name: str) -> dict[str, str]:
        """How the description names a file."""
        return {"source": name, "sha256": self.digests[name]}


def own_processing(info: ModelInfo) -> dict[str, Any]:
    """The processing of a model of ours in the words of bioimage.io; the rest is in `ExportedNetwork`."""
    norm = info.normalisation
    axes = ["batch", "channel", *_spatial(info)]
    # Without the batch axis: percentiles of each image alone.
    ends = {"axes": axes[1:], "min_percentile": float(norm.low), "max_percentile": float(norm.high)}
    steps = [
        {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
        # Percentiles of the negative: the specification wants the smaller one first.
        *([{"id": "scale_linear", "kwargs": {"gain": -1.0, "offset": 0.0}}] if norm.inverted else []),
        {"id": "scale_range", "kwargs": ends},
        {"id": "clip", "kwargs": {"min": float(norm.clip[0]), "max": float(norm.clip[1])}},
    ]
    return {
        "input": {"axes": axes, "dtype": "float32", "steps": steps},
        "output": {"index": 0, "axes": axes, "steps": []},
    }


def description(facts: Facts) -> dict[str, Any]:
    """The whole document."""
    info = facts.info
    return {
        "format_version": names.FORMAT_VERSION,
        "type": "model",
        "name": _name(info.name),
        "version": info.version if re.fullmatch(r"\d+(\.\d+)*", info.version) else "0",
        "description": info.description or f"Cell nuclei in {info.ndim}D microscopy.",
        "authors": [{"name": (info.author or "the makers of this package").replace("/", " ")}],
        **_citation(info),
        **({"license": info.licence} if info.licence else {}),
        "tags": ["nuclei", "instance-segmentation", "fluorescence-light-microscopy", f"{info.ndim}d", "noyau"],
        "documentation": facts.file(names.DOCUMENTATION),
        "covers": [names.COVER],
        "attachments": [facts.file(name) for name in facts.package],
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "inputs": [_input(facts)],
        "outputs": [_output(facts)],
        "weights": _weights(facts),
        **_training_data(info),
        "config": {"bioimageio": _config(info), names.VENDOR: _own(facts)},
    }


def _name(name: str) -> str:
    """At least five of the characters that the format knows."""
    clean = re.sub(r"[^A-Za-z0-9_+\- ()]", "-", name)
    return clean if len(clean) >= 5 else f"noyau {clean}"


def _citation(info: ModelInfo) -> dict[str, Any]:
    """An entry for each citation that names a DOI or an address, which the format demands."""
    entries = []
    for text in info.cite:
        doi = re.search(r"10\.\d{4,9}/[^\s,;]+", text)
        url = re.search(r"https?://\S+", text)
        if doi:
            entries.append({"text": text, "doi": doi.group().rstrip(".")})
        elif url:
            entries.append({"text": text, "url": url.group()})
    return {"cite": entries} if entries else {}


def _spatial(info: ModelInfo) -> str:
    return "zyx" if info.ndim == 3 else "yx"


def _space(info: ModelInfo, axis: str) -> dict[str, Any]:
    named: dict[str, Any] = {"type": "space", "id": axis}
    if info.voxel_size is not None:
        named.update(unit="micrometer", scale=float(getattr(info.voxel_size, axis)))
    return named


def _input(facts: Facts) -> dict[str, Any]:
    info = facts.info
    sizes = zip("zyx", facts.minimum, info.stride, strict=True)
    spatial = [
        {**_space(info, axis), "size": {"min": least, "step": stride}}
        for axis, least, stride in sizes
        if axis in _spatial(info)
    ]
    return {
        "id": names.INPUT_ID,
        "description": "one channel of a nuclear stain or marker, as acquired",
        "axes": [{"type": "batch"}, {"type": "channel", "channel_names": ["nuclei"]}, *spatial],
        "data": {"type": "float32"},
        "preprocessing": own_processing(info)["input"]["steps"],
        "test_tensor": facts.file(names.TEST_INPUT),
    }


def _output(facts: Facts) -> dict[str, Any]:
    info = facts.info
    spatial = [
        {
            **_space(info, axis),
            "size": {"tensor_id": names.INPUT_ID, "axis_id": axis},
            **({"halo": halo} if halo else {}),
        }
        for axis, halo in zip("zyx", info.halo, strict=True)
        if axis in _spatial(info)
    ]
    return {
        "id": names.OUTPUT_ID,
        "description": "channel 0: probability of being nucleus; the others: what the decoder needs, see the card",
        "axes": [{"type": "batch"}, {"type": "channel", "channel_names": _channels(facts)}, *spatial],
        "data": {"type": "float32"},
        "test_tensor": facts.file(names.TEST_OUTPUT),
    }


def _channels(facts: Facts) -> list[str]:
    info = facts.info
    if info.decoder == "vote" and facts.channels == 1 + info.ndim:
        return ["foreground", *(f"offset_{axis}" for axis in _spatial(info))]
    return ["foreground", *(f"{info.decoder}{i}" for i in range(1, facts.channels))]


def _weights(facts: Facts) -> dict[str, Any]:
    module, name = _CALLABLE
    return {
        "pytorch_state_dict": {
            **facts.file(names.STATE_DICT),
            "architecture": {"import_from": module, "callable": name, "kwargs": exported_arguments(facts.info)},
            "pytorch_version": facts.pytorch,
            "dependencies": facts.file(names.ENVIRONMENT),
        },
        "torchscript": {
            **facts.file(names.TORCHSCRIPT),
            "parent": "pytorch_state_dict",
            "pytorch_version": facts.pytorch,
            "comment": "runs without Noyau",
        },
    }


def _training_data(info: ModelInfo) -> dict[str, Any]:
    """The sets that the model was trained on, as far as the package names them."""
    data = info.training.get("data") or info.training.get("datasets")
    if not data:
        return {}
    listed = [str(one) for one in data] if isinstance(data, list | tuple) else [str(data)]
    text = "; ".join(listed)
    return {
        "training_data": {
            "type": "dataset",
            "format_version": "0.3.0",
            "name": f"training data of {_name(info.name)}"[:100],
            "description": f"{text}. Licences and the split are in the model card."[:1000],
        }
    }


def _config(info: ModelInfo) -> dict[str, Any]:
    """What the format has words for of how the model was made."""
    training = info.training
    details = {
        "training_batch_size": training.get("batch"),
        "initial_learning_rate": training.get("lr"),
        "learning_rate_schedule": training.get("schedule", "warm-up, then cosine decay"),
        "optimizer": training.get("optimizer", "torch.optim.AdamW"),
        "loss_function": training.get("loss", "binary cross entropy and Dice of the foreground, L1 of the offsets"),
        "regularization": f"weight decay {training['weight_decay']}" if "weight_decay" in training else None,
        "training_duration": training["minutes_used"] / 60 if training.get("minutes_used") else None,
    }
    return {
        "architecture_type": info.architecture[:32],
        "modality": "fluorescence microscopy",
        "target_structure": ["nuclei"],
        "task": "instance segmentation",
        "training": {key: value for key, value in details.items() if value is not None} if training else {},
        "reproducibility_tolerance": [{"relative_tolerance": 1e-3, "absolute_tolerance": 1e-3}],
    }


def _own(facts: Facts) -> dict[str, Any]:
    """What we need to read the package back."""
    digests = {name: facts.digests[name] for name in facts.package}
    return {
        "format": 1,
        "name": facts.info.name,
        "version": facts.info.version,
        "weights": WEIGHTS_FILE,
        "package": digests,
        "metrics": facts.info.metrics,
        "training": facts.info.training,
        "software": facts.info.software,
    }
