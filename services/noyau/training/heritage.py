"""What a model in training takes over from its parent besides the weights."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from noyau.domain.model import ModelInfo


def inherited(parent: ModelInfo) -> dict[str, Any]:
    """Values of `TrainConfig` by field name: the network, what it answers, and how its input is normalised."""
    return {
        "architecture": parent.architecture,
        "arguments": dict(parent.arguments),
        "decoder": parent.decoder,
        "normalisation": asdict(parent.normalisation),
    }
