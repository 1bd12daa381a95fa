"""What all networks have in common: one image in, a stack of channels at full resolution out."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar, cast

import torch
from monai.networks.blocks.convolutions import Convolution
from torch import nn


class DenseNetwork(nn.Module):
    """A network that says the same things of every voxel.

    Shapes:
        input (N, 1, *spatial) float32, every spatial size a multiple of the total stride;
        output (N, channels, *spatial): first the logits, channel 0 that of the foreground, then the quantities that
        are regressed (for the vote: the offset to the centre in voxels, z, y, x or y, x).

    Args:
        ndim: 2 or 3.
        strides: of each level, from fine to coarse; the total stride is their product.
        channels: of the output; None means those of the vote, 1 + ndim.
        logits: how many of them, the first, are logits.
        offset_scale: units of the regressed quantities per unit of the last convolution, so that the trained weights
            are of order one.
        quantum: step in which the regressed quantities are handed to the decoder, as signed bytes.
        start: what an untrained network says of them, in units of `offset_scale`.

    Attributes:
        bounded: whether an output voxel depends on a bounded neighbourhood of the input, whatever the window. If not
            (norms over the whole window, attention), tiles agree with the whole only roughly.
    """

    bounded: ClassVar[bool] = True
    scale: torch.Tensor

    def __init__(
        self,
        ndim: int,
        strides: Sequence[Sequence[int]],
        channels: int | None = None,
        logits: int = 1,
        offset_scale: float = 8.0,
        quantum: float = 1.0,
        start: float = 0.0,
    ) -> None:
        super().__init__()
        self.ndim = ndim
        self.channels = 1 + ndim if channels is None else channels
        self.logits, self.quantum, self.start = logits, quantum, start
        self.strides = [tuple(int(s) for s in stride) for stride in strides]
        scale = torch.full((self.channels,), float(offset_scale)).view(1, -1, *([1] * ndim))
        scale[:, :logits] = 1.0
        self.register_buffer("scale", scale, persistent=False)

    @property
    def total_stride(self) -> tuple[int, ...]:
        """Product of the strides of all levels, per axis."""
        return tuple(prod(stride[axis] for stride in self.strides) for axis in range(self.ndim))


def conv(
    ndim: int, before: int, after: int, kernel: Sequence[int], stride: Sequence[int] | int = 1, activation: bool = True
) -> nn.Module:
    """Convolution, BatchNorm and, if asked for, ReLU. Even kernels pad so that size / stride is exact."""
    act = ("relu", {"inplace": True}) if activation else None
    return Convolution(
        spatial_dims=ndim,
        in_channels=before,
        out_channels=after,
        kernel_size=tuple(kernel),
        strides=stride if isinstance(stride, int) else tuple(stride),
        padding=tuple((k - 1) // 2 for k in kernel),
        adn_ordering="NA",
        act=act,
        norm="batch",
        bias=False,
    )


def head(network: DenseNetwork, before: int, stride: Sequence[int]) -> nn.Module:
    """Features to the answer of a network at full resolution, without norm or activation."""
    ndim = network.ndim
    up = any(s > 1 for s in stride)
    kernel = tuple(4 if s == 2 else 1 for s in stride)
    module = Convolution(
        spatial_dims=ndim,
        in_channels=before,
        out_channels=network.channels,
        kernel_size=kernel,
        strides=tuple(stride) if up else 1,
        padding=tuple((k - 1) // 2 for k in kernel),
        conv_only=True,
        is_transposed=up,
        output_padding=0 if up else None,
    )
    # Most voxels are background, and the lengths of rays are not zero: start there instead of spending the first steps
    # on it. The other probabilities have a mean of their own inside nuclei and are quicker to learn from one half.
    with torch.no_grad():
        bias = cast(nn.Conv3d, module.conv).bias
        if bias is not None:
            bias[: min(network.logits, 1)] = -2.0
            bias[network.logits :] = network.start
    return module
