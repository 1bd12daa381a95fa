"""The texts of an archive: the model card with what bioimage.io wants to find in it, and the environment."""

from __future__ import annotations

import json
import re

from noyau.domain.model import ModelInfo


def documentation(info: ModelInfo, card: str) -> str:
    """The model card with a section on validation and one on how to run the model outside Noyau."""
    parts = [card.rstrip() or f"# {info.name} version {info.version}\n\n{info.description}"]
    parts.append("![test image and foreground probability](cover.png)")
    if not re.search(r"^#.*validation", card, re.IGNORECASE | re.MULTILINE):
        measured = json.dumps(info.metrics, indent=1) if info.metrics else "none given"
        parts.append(
            "## Validation\n\nSegment annotated images that the model was not trained on with `noyau segment`, and "
            f"compare with `noyau evaluate`. Figures of the package:\n\n```json\n{measured}\n```"
        )
    parts.append(
        "## In other software\n\nThe archive gives dense maps: the probability of being nucleus in channel 0, then "
        f"{_rest(info)}. Objects are made of them by the decoder `{info.decoder}` of Noyau, whose parameters are in "
        f"`model.json`; `noyau models import` reads the archive. The outer {_text(info.halo)} voxels (z, y, x) of a "
        "window depend on what lies beyond it."
    )
    return "\n\n".join(parts) + "\n"


def environment(info: ModelInfo) -> str:
    """A conda environment with the versions that the model was made with."""
    pins = [f"{name}=={version}" for name, version in info.software.items() if name != "python"]
    lines = ["name: noyau-model", "channels:", "  - conda-forge", "dependencies:"]
    lines += [f"  - python={info.software.get('python', '3.11')}", "  - pip", "  - pip:"]
    lines += [f"      - {pin}" for pin in pins or ["noyau", "torch", "monai"]]
    return "\n".join(lines) + "\n"


def _rest(info: ModelInfo) -> str:
    if info.decoder == "vote":
        axes = "z, y and x" if info.ndim == 3 else "y and x"
        return f"the offset to the centre of the nucleus in voxels along {axes}"
    return f"what the decoder `{info.decoder}` needs"


def _text(values: tuple[int, ...]) -> str:
    return " x ".join(str(v) for v in values)
