"""Our own U-Net, made for speed on a processor and for exact tiling."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import torch
from torch import nn

from noyau.models.networks.dense import DenseNetwork, conv, head


class ResidualBlock(nn.Module):
    """Two convolutions with a skip connection; the addition comes before the last activation."""

    def __init__(self, ndim: int, channels: int, kernel: Sequence[int]) -> None:
        super().__init__()
        self.first = conv(ndim, channels, channels, kernel)
        self.second = conv(ndim, channels, channels, kernel, activation=False)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.activation(x + self.second(self.first(x)))
        return out


class Level(nn.Module):
    """One resolution of the U-Net: what runs on the way down and, except at the bottom, on the way up."""

    def __init__(self, ndim: int, before: int, channels: int, stride: Sequence[int], spec: dict[str, Any]) -> None:
        super().__init__()
        stem = spec.get("stem") or [3 if s > 1 or k > 1 else 1 for s, k in zip(stride, spec["down"][0], strict=True)]
        self.enter = conv(ndim, before, channels, stem, stride)
        self.down = nn.Sequential(*(_block(ndim, channels, kernel, spec) for kernel in spec["down"]))
        self.up = nn.Sequential(*(conv(ndim, channels, channels, kernel) for kernel in spec.get("up", [])))


class VoteUNet(DenseNetwork):
    """U-Net with additive skips that says for every voxel: nucleus or not, and where the nucleus centre lies.

    Additive skips cost no extra convolution width, and BatchNorm in eval mode keeps the prediction a function of a
    bounded neighbourhood. Where the first level has a stride, an overlapping transposed convolution brings the
    output back to full resolution.

    Args:
        ndim: 2 or 3.
        levels: from fine to coarse, each a dict with `channels`; `stride` and `stem` kernel of its first convolution;
            `down`, kernels of the blocks of the encoder; `up`, kernels of the decoder's convolutions;
            `residual`, whether encoder blocks are residual (two convolutions each).
        answer: `channels`, `logits`, `offset_scale`, `quantum`, see `DenseNetwork`.
    """

    def __init__(
        self,
        ndim: int,
        levels: Sequence[dict[str, Any]],
        **answer: Any,
    ) -> None:
        super().__init__(ndim, [level["stride"] for level in levels], **answer)
        widths = [int(level["channels"]) for level in levels]
        before = [1, *widths[:-1]]
        self.levels = nn.ModuleList(
            Level(ndim, a, b, s, level) for a, b, s, level in zip(before, widths, self.strides, levels, strict=True)
        )
        self.reduce = nn.ModuleList(conv(ndim, b, a, [1] * ndim, activation=False) for a, b in pairwise(widths))
        self.upsample = nn.ModuleList(
            nn.Upsample(scale_factor=tuple(float(v) for v in s), mode="nearest") for s in self.strides[1:]
        )
        self.activation = nn.ReLU(inplace=True)
        self.head = head(self, widths[0], self.strides[0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        levels = cast(Sequence[Level], self.levels)
        skips: list[torch.Tensor] = []
        for level in levels:
            x = level.down(level.enter(x))
            skips.append(x)
        for index in range(len(self.reduce) - 1, -1, -1):
            x = self.activation(skips[index] + self.upsample[index](self.reduce[index](x)))
            x = levels[index].up(x)
        out: torch.Tensor = self.head(x) * self.scale
        return out


def _block(ndim: int, channels: int, kernel: Sequence[int], spec: dict[str, Any]) -> nn.Module:
    if spec.get("residual"):
        return ResidualBlock(ndim, channels, kernel)
    return conv(ndim, channels, channels, kernel)
