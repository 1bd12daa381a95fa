"""The training loss: where is nucleus (cross-entropy and Dice), and where is its centre or its end (smooth L1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from monai.losses.dice import DiceLoss
from torch import nn
from torch.nn import functional

from noyau.training.targets import Targets


@dataclass(frozen=True)
class LossParts:
    """The total and its parts; `total` carries the gradient."""

    total: torch.Tensor
    entropy: torch.Tensor
    dice: torch.Tensor
    offset: torch.Tensor


class VoteLoss(nn.Module):
    """2 * weighted BCE + Dice + object-balanced smooth L1 of the offsets in units of `offset_scale`.

    Cross-entropy counts boundaries twice and small nuclei more; Dice is computed where the truth is known; offsets
    count inside nuclei only, those of a large nucleus less per voxel, since it has more of them and room for error.

    Args:
        offset_scale: size of the regressed quantities.
        logits: how many channels, the first, are logits; Dice is that of channel 0.
        share: weight of one regressed quantity.
    """

    def __init__(self, offset_scale: float, logits: int = 1, share: float = 1.0) -> None:
        super().__init__()
        self.offset_scale, self.logits, self.share = offset_scale, logits, share
        # Smoothing by 50 voxels keeps patches without a nucleus from dominating.
        self.dice = DiceLoss(smooth_nr=50.0, smooth_dr=50.0)

    def forward(self, output: torch.Tensor, targets: Targets) -> LossParts:
        logit, offsets = output[:, : self.logits], output[:, self.logits :]
        weight = targets.foreground_weight
        entropy = functional.binary_cross_entropy_with_logits(logit, targets.foreground, reduction="none")
        known = (weight > 0).to(logit.dtype)
        entropy = (entropy * weight).sum() / known.sum().clamp_min(1.0)
        hard = (targets.foreground[:, :1] > 0.5).to(logit.dtype)
        dice = self.dice(torch.sigmoid(logit[:, :1]) * known, hard * known)
        scale = self.offset_scale
        error = functional.smooth_l1_loss(offsets / scale, targets.offsets / scale, reduction="none", beta=1.0 / scale)
        where = targets.offset_weight
        offset = self.share * (error.sum(1, keepdim=True) * where).sum() / (where.sum() + 100.0)
        return LossParts(2.0 * entropy + dice + offset, entropy, dice, offset)
