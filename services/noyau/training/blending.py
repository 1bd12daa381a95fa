"""Weights between those of the parent and those of the run.

Halfway between the two a fine-tuned network keeps most of what it learned and loses less of what the parent knew of
other images (weight-space ensembling: Wortsman et al. 2022, Robust fine-tuning of zero-shot models).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from noyau.domain.errors import InvalidInput
from noyau.models.networks import build
from noyau.training.config import TrainConfig


def check_blend(config: TrainConfig, parent: Mapping[str, torch.Tensor] | None) -> None:
    """Refuses a share of the parent's weights where there is no parent, or one with another shape.

    Raises:
        InvalidInput: so it is.
    """
    if not config.parent_share:
        return
    if parent is None:
        raise InvalidInput("There is no parent whose weights could have a share.", "Give --parent, or no parent_share.")
    wanted = build(config.architecture, config.network_arguments).state_dict()
    if {k: v.shape for k, v in wanted.items()} != {k: v.shape for k, v in parent.items()}:
        raise InvalidInput(
            "The parent's network has another shape, so its weights cannot have a share in the result.",
            "Train without parent_share, or with the parent's own network.",
        )


def blend(network: nn.Module, parent: Mapping[str, torch.Tensor], share: float) -> None:
    """Moves the weights of a network, in place, towards the parent's.

    Args:
        network: after training.
        parent: weights by name, of the same shapes.
        share: of the parent, 0 to 1.
    """
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                value.lerp_(parent[name].to(value), share)
