"""Networks of MONAI with our kind of answer: a semantic U-Net, a residual encoder, and a Transformer encoder.

Each may work at a coarser resolution than the image: a strided convolution before it (the stem) and a transposed one
after it, as in our own U-Net, so that anisotropic voxels become nearly cubic and the networks can be compared at like
cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.networks.nets.segresnet import SegResNet
from monai.networks.nets.swin_unetr import SwinUNETR
from monai.networks.nets.unet import UNet
from torch import nn
from torch.nn import functional

from noyau.models.networks.dense import DenseNetwork, conv, head


class MonaiNetwork(DenseNetwork):
    """A network of MONAI between a stem and a head.

    Args:
        ndim: 2 or 3.
        inner: maps `before` features to `width` features at the same resolution.
        strides: of the levels of `inner`.
        stem: stride of the convolution before `inner`, 1 or 2 per axis; None for none.
        width: features that `inner` gives, and takes where there is a stem.
        answer: `channels`, `logits`, `offset_scale`, `quantum`, see `DenseNetwork`.
    """

    def __init__(
        self,
        ndim: int,
        inner: nn.Module,
        strides: Sequence[Sequence[int]],
        stem: Sequence[int] | None,
        width: int,
        answer: dict[str, Any],
    ) -> None:
        first = [1] * ndim if stem is None else list(stem)
        super().__init__(ndim, [first, *strides], **answer)
        kernel = [4 if s == 2 else 3 for s in first]
        self.stem = nn.Identity() if stem is None else conv(ndim, 1, width, kernel, first)
        self.inner = inner
        self.head = head(self, width, first)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.inner(self.stem(x))) * self.scale
        return out


class AttentiveNetwork(MonaiNetwork):
    """One whose answer depends on the whole window: attention, or norms over the window."""

    bounded = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if any(n > s for n, s in zip(x.shape[2:], self.total_stride, strict=True)):
            return super().forward(x)
        # A norm over the window has nothing to compare in a window of a single coarse cell: it gets a second one.
        padding = [0, self.total_stride[-1], *([0, 0] * (self.ndim - 1))]
        return super().forward(functional.pad(x, padding, mode="replicate"))[..., : x.shape[-1]]


def unet(
    ndim: int,
    widths: Sequence[int],
    strides: Sequence[Sequence[int]],
    stem: Sequence[int] | None = None,
    **answer: Any,
) -> MonaiNetwork:
    """The semantic U-Net (Ronneberger et al. 2015, Cicek et al. 2016) with BatchNorm.

    Args:
        ndim: 2 or 3.
        widths: features of each level, from fine to coarse.
        strides: between the levels, one fewer.
        stem, answer: see `MonaiNetwork`.
    """
    inner = UNet(
        ndim,
        in_channels=1 if stem is None else widths[0],
        out_channels=widths[0],
        channels=list(widths),
        strides=[tuple(s) for s in strides],  # type: ignore[misc]  # the annotation forgets strides per axis
        num_res_units=0,
        act="relu",
        norm="batch",
    )
    return MonaiNetwork(ndim, inner, strides, stem, widths[0], answer)


def residual_unet(
    ndim: int, width: int, blocks: Sequence[int], stem: Sequence[int] | None = None, **answer: Any
) -> MonaiNetwork:
    """SegResNet (Myronenko 2018): a residual encoder and a light decoder, here with BatchNorm.

    Args:
        ndim: 2 or 3.
        width: features of the first level; each further one has twice as many at half the resolution.
        blocks: residual blocks of each level of the encoder.
        stem, answer: see `MonaiNetwork`.
    """
    inner = SegResNet(
        spatial_dims=ndim,
        init_filters=width,
        in_channels=1 if stem is None else width,
        out_channels=width,
        norm="batch",
        blocks_down=tuple(blocks),
        blocks_up=(1,) * (len(blocks) - 1),
    )
    return MonaiNetwork(ndim, inner, [[2] * ndim] * (len(blocks) - 1), stem, width, answer)


def swin_unetr(
    ndim: int,
    width: int,
    depths: Sequence[int] = (2, 2, 2, 2),
    heads: Sequence[int] = (3, 6, 12, 24),
    window: int = 4,
    stem: Sequence[int] | None = None,
    **answer: Any,
) -> MonaiNetwork:
    """Swin UNETR (Hatamizadeh et al. 2022): a Transformer encoder with shifted windows, a convolutional decoder.

    Args:
        ndim: 2 or 3.
        width: features of the first level, a multiple of 12.
        depths, heads: Transformer blocks and attention heads of the four levels.
        window: edge of an attention window, tokens.
        stem, answer: see `MonaiNetwork`.
    """
    inner = SwinUNETR(
        in_channels=1 if stem is None else width,
        out_channels=width,
        feature_size=width,
        spatial_dims=ndim,
        depths=tuple(depths),
        num_heads=tuple(heads),
        window_size=window,
        norm_name="instance",
    )
    return AttentiveNetwork(ndim, inner, [[2] * ndim] * 5, stem, width, answer)
