"""The network with its output quantised: a part of the graph, so that only bytes leave the device."""

from __future__ import annotations

import torch
from torch import nn

LARGEST_OFFSET = 127.0


class QuantisedNetwork(nn.Module):
    """Wraps a vote network.

    Shapes:
        input (N, 1, Y, X) or (N, 1, Z, Y, X) float32;
        output (N, 1 + ndim, ...) uint8: foreground byte, then offsets as the bytes of int8 (two's complement).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.network(x).float()
        foreground = torch.round(torch.sigmoid(y[:, :1]) * 255.0)
        offsets = torch.round(y[:, 1:]).clamp(-LARGEST_OFFSET, LARGEST_OFFSET)
        # Two's complement by arithmetic: negative values move up by 256. Works the same in every library.
        wrapped = offsets + 256.0 * (offsets < 0).to(offsets.dtype)
        wrapped = wrapped * (foreground > 0).to(offsets.dtype)
        return torch.cat([foreground, wrapped], dim=1).to(torch.uint8)
