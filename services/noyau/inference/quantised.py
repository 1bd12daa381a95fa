"""The network with its output quantised: a part of the graph, so that only bytes leave the device."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

LARGEST_OFFSET = 127.0


class QuantisedNetwork(nn.Module):
    """Wraps a network whose answer is logits, then regressed quantities (see `noyau.models.networks.dense`).

    Shapes:
        input (N, 1, Y, X) or (N, 1, Z, Y, X) float32;
        output (N, channels, ...) uint8: probabilities, the foreground's first, then the regressed quantities in steps
        of the network's quantum as the bytes of int8 (two's complement), 0 where the foreground byte is 0.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.logits = int(getattr(network, "logits", 1))
        self.quantum = float(getattr(network, "quantum", 1.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.network(x).float()
        likely = torch.round(torch.sigmoid(y[:, : self.logits]) * 255.0)
        values = y[:, self.logits :]
        if self.quantum != 1.0:
            values = values * (1.0 / self.quantum)
        values = torch.round(values).clamp(-LARGEST_OFFSET, LARGEST_OFFSET)
        # Two's complement by arithmetic: negative values move up by 256. Works the same in every library.
        wrapped = values + 256.0 * (values < 0).to(values.dtype)
        wrapped = wrapped * (likely[:, :1] > 0).to(values.dtype)
        return torch.cat([likely, wrapped], dim=1).to(torch.uint8)


def planes_of(network: nn.Module, ndim: int) -> int:
    """Channels of the quantised prediction: those of the network and, for the vectors of a 2D network, one for z."""
    channels = int(getattr(network, "channels", 1 + ndim))
    return channels + (1 if ndim == 2 and has_vectors(network, ndim) else 0)


def has_vectors(network: nn.Module, ndim: int) -> bool:
    """Whether the regressed quantities are a vector: as many as there are axes."""
    return int(getattr(network, "channels", 1 + ndim)) - int(getattr(network, "logits", 1)) == ndim


def place(answer: np.ndarray, out: np.ndarray, ndim: int, logits: int, vectors: bool) -> None:
    """Puts a network's bytes for one window into a prediction of the house.

    Args:
        answer: uint8 (channels, *spatial).
        out: uint8 (planes, Z, Y, X), zero.
        ndim: 2 or 3.
        logits: how many channels, the first, are probabilities.
        vectors: whether the others are a vector, whose z is 0 in 2D.
    """
    if ndim == 3:
        out[:] = answer
    elif vectors:
        out[:logits, 0], out[logits + 1 :, 0] = answer[:logits], answer[logits:]
    else:
        out[:, 0] = answer
