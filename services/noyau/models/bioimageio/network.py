"""What other software runs for a model of ours: the network with the parts that bioimage.io has no step for."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from noyau.domain.model import ModelInfo
from noyau.models.networks import build


class ExportedNetwork(nn.Module):
    """Our network with the compression of its input and the sigmoid of its probabilities.

    Shapes:
        input (N, 1, *spatial) float32: intensities scaled to their percentiles and clipped;
        output (N, channels, *spatial) float32: first the probabilities, foreground in front, then the quantities that
        are regressed, such as the offset to the centre in voxels.

    Args:
        network: answers with logits first.
        gain: of the asinh compression, `noyau.domain.intensity.compress`.
        logits: how many channels are logits.
    """

    def __init__(self, network: nn.Module, gain: float, logits: int) -> None:
        super().__init__()
        self.network = network
        self.gain, self.unit, self.logits = float(gain), math.asinh(float(gain)), int(logits)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.network(torch.asinh(x * self.gain) / self.unit)
        return torch.cat([torch.sigmoid(y[:, : self.logits]), y[:, self.logits :]], dim=1)


def exported_network(architecture: str, arguments: dict[str, Any], gain: float, logits: int = 1) -> ExportedNetwork:
    """The network that the `pytorch_state_dict` entry of our archives names."""
    return ExportedNetwork(build(architecture, arguments), gain, logits)


def exported_arguments(info: ModelInfo) -> dict[str, Any]:
    """The arguments of `exported_network` for a model."""
    return {
        "architecture": info.architecture,
        "arguments": info.arguments,
        "gain": info.normalisation.gain,
        "logits": int(info.arguments.get("logits", 1)),
    }
