"""The known network architectures: name and JSON arguments in, torch module out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, cast

import torch
from monai.networks.blocks.convolutions import Convolution
from torch import nn

from noyau.domain.errors import InvalidInput


class ResidualBlock(nn.Module):
    """Two convolutions with a skip connection; the addition comes before the last activation."""

    def __init__(self, ndim: int, channels: int, kernel: Sequence[int]) -> None:
        super().__init__()
        self.first = _conv(ndim, channels, channels, kernel)
        self.second = _conv(ndim, channels, channels, kernel, activation=False)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.activation(x + self.second(self.first(x)))
        return out


class Level(nn.Module):
    """One resolution of the U-Net: what runs on the way down and, except at the bottom, on the way up."""

    def __init__(self, ndim: int, before: int, channels: int, stride: Sequence[int], spec: dict[str, Any]) -> None:
        super().__init__()
        stem = spec.get("stem") or [3 if s > 1 or k > 1 else 1 for s, k in zip(stride, spec["down"][0], strict=True)]
        self.enter = _conv(ndim, before, channels, stem, stride)
        self.down = nn.Sequential(*(_block(ndim, channels, kernel, spec) for kernel in spec["down"]))
        self.up = nn.Sequential(*(_conv(ndim, channels, channels, kernel) for kernel in spec.get("up", [])))


class VoteUNet(nn.Module):
    """U-Net with additive skips that says for every voxel: nucleus or not, and where the nucleus centre lies.

    Additive skips cost no extra convolution width, and BatchNorm in eval mode keeps the prediction a function of a
    bounded neighbourhood. Where the first level has a stride, an overlapping transposed convolution brings the
    output back to full resolution.

    Args:
        ndim: 2 or 3.
        levels: from fine to coarse, each a dict with `channels`; `stride` and `stem` kernel of its first convolution;
            `down`, kernels of the blocks of the encoder; `up`, kernels of the decoder's convolutions;
            `residual`, whether encoder blocks are residual (two convolutions each).
        offset_scale: voxels per unit of the regression output, so that the trained weights are of order one.

    Shapes:
        input (N, 1, *spatial) float32, every spatial size a multiple of the total stride;
        output (N, 1 + ndim, *spatial): foreground logit, then the offset to the centre in voxels (z, y, x or y, x).
    """

    def __init__(self, ndim: int, levels: Sequence[dict[str, Any]], offset_scale: float = 8.0) -> None:
        super().__init__()
        self.ndim = ndim
        self.strides = [tuple(int(s) for s in level["stride"]) for level in levels]
        widths = [int(level["channels"]) for level in levels]
        before = [1, *widths[:-1]]
        self.levels = nn.ModuleList(
            Level(ndim, a, b, s, level) for a, b, s, level in zip(before, widths, self.strides, levels, strict=True)
        )
        self.reduce = nn.ModuleList(_conv(ndim, b, a, [1] * ndim, activation=False) for a, b in pairwise(widths))
        self.upsample = nn.ModuleList(
            nn.Upsample(scale_factor=tuple(float(v) for v in s), mode="nearest") for s in self.strides[1:]
        )
        self.activation = nn.ReLU(inplace=True)
        self.head = _head(ndim, widths[0], 1 + ndim, self.strides[0])
        scale = torch.full((1 + ndim,), float(offset_scale)).view(1, -1, *([1] * ndim))
        scale[:, 0] = 1.0
        self.register_buffer("scale", scale, persistent=False)

    @property
    def total_stride(self) -> tuple[int, ...]:
        """Product of the strides of all levels, per axis."""
        total = [1] * self.ndim
        for stride in self.strides:
            total = [a * b for a, b in zip(total, stride, strict=True)]
        return tuple(total)

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


def _conv(
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


def _block(ndim: int, channels: int, kernel: Sequence[int], spec: dict[str, Any]) -> nn.Module:
    if spec.get("residual"):
        return ResidualBlock(ndim, channels, kernel)
    return _conv(ndim, channels, channels, kernel)


def _head(ndim: int, before: int, after: int, stride: Sequence[int]) -> nn.Module:
    """Features to outputs at full resolution, without norm or activation."""
    up = any(s > 1 for s in stride)
    kernel = tuple(4 if s == 2 else 1 for s in stride)
    head = Convolution(
        spatial_dims=ndim,
        in_channels=before,
        out_channels=after,
        kernel_size=kernel,
        strides=tuple(stride) if up else 1,
        padding=tuple((k - 1) // 2 for k in kernel),
        conv_only=True,
        is_transposed=up,
        output_padding=0 if up else None,
    )
    # Most voxels are background: start there instead of spending the first steps on it.
    with torch.no_grad():
        bias = cast(nn.Conv3d, head.conv).bias
        if bias is not None:
            bias.zero_()
            bias[0] = -2.0
    return head


_ARCHITECTURES: dict[str, Callable[..., VoteUNet]] = {"vote-unet": VoteUNet}


def build(architecture: str, arguments: dict[str, Any]) -> VoteUNet:
    """A freshly initialised network of a known architecture, in training mode.

    Raises:
        InvalidInput: the architecture is unknown or its arguments do not fit.
    """
    try:
        make = _ARCHITECTURES[architecture]
    except KeyError:
        known = ", ".join(sorted(_ARCHITECTURES))
        raise InvalidInput(f"The network architecture '{architecture}' is unknown.", f"Known are: {known}.") from None
    try:
        return make(**arguments)
    except (TypeError, KeyError, ValueError) as error:
        raise InvalidInput(f"The arguments of architecture '{architecture}' do not fit: {error}.") from error


def default_arguments(ndim: int) -> dict[str, Any]:
    """The shipped shapes of `vote-unet`.

    3D: the first level works at half the y/x resolution, where voxels of 1.75 x 0.8 x 0.8 um are nearly cubic; a
    small receptive field in z keeps the halo, and with it the overhead of thin tiles, small.
    2D: nuclei of 5 to 120 pixels ask for full resolution and for a wide receptive field at once.
    """
    if ndim == 3:
        cube, plane = [3, 3, 3], [1, 3, 3]
        return {
            "ndim": 3,
            "offset_scale": 8.0,
            "levels": [
                {"channels": 32, "stride": [1, 2, 2], "stem": [1, 4, 4], "down": [cube], "up": [cube, plane]},
                {"channels": 64, "stride": [2, 2, 2], "down": [cube, cube], "residual": True},
            ],
        }
    flat = [3, 3]
    return {
        "ndim": 2,
        "offset_scale": 16.0,
        "levels": [
            {"channels": 16, "stride": [1, 1], "down": [flat], "up": [flat]},
            {"channels": 32, "stride": [2, 2], "down": [flat], "up": [flat]},
            {"channels": 64, "stride": [2, 2], "down": [flat], "up": [flat]},
            {"channels": 96, "stride": [2, 2], "down": [flat], "up": [flat]},
            {"channels": 128, "stride": [2, 2], "down": [flat], "residual": True},
        ],
    }
