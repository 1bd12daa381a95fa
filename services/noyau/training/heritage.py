"""What a model in training takes over from its parent besides the weights."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from noyau.domain.model import ModelInfo
from noyau.models.networks import arguments_for
from noyau.training.objectives import VOTE
from noyau.training.pretraining import DENOISE

# Arguments of a network that say what it answers; a decoder sets them for itself.
_OF_ANSWER = ("channels", "logits", "quantum", "start")
_SCALE = "offset_scale"


def inherited(parent: ModelInfo) -> dict[str, Any]:
    """Values of `TrainConfig` by field name: the network, what it answers, and how its input is normalised.

    A parent that was pretrained without labels gives its shape; its child finds nuclei by vote unless told otherwise.
    """
    arguments = {name: value for name, value in parent.arguments.items() if name not in _OF_ANSWER}
    if parent.decoder != VOTE:
        arguments[_SCALE] = arguments_for(parent.architecture, parent.ndim)[_SCALE]
    return {
        "architecture": parent.architecture,
        "arguments": arguments,
        "decoder": VOTE if parent.decoder == DENOISE else parent.decoder,
        "normalisation": asdict(parent.normalisation),
    }
