"""How a run begins: the network, its average, the optimiser and the scaler before the first step."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch

from noyau.domain.errors import FailedPrecondition
from noyau.models.networks import build
from noyau.training.checkpoint import RunState
from noyau.training.config import TrainConfig
from noyau.training.devices import precision_of
from noyau.training.growth import inherit
from noyau.training.stepping import memory_layout


def identity(config: TrainConfig) -> dict[str, Any]:
    """What must not change between the first call and a resumption."""
    return {"architecture": config.architecture, "arguments": config.network_arguments, "ndim": config.ndim}


def fresh_state(config: TrainConfig, device: torch.device, parent: Mapping[str, torch.Tensor] | None) -> RunState:
    """The state at step 0.

    Args:
        config: the run; its seed decides the weights.
        device: where they go.
        parent: weights to start from instead of random ones, by name.

    Raises:
        FailedPrecondition: the parent does not fit the network, or the patch not its stride.
    """
    # Only the initial weights come from torch's global generator; it is put back as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = build(config.architecture, config.network_arguments)
    if parent is not None:
        inherit(network, parent)
    stride = network.total_stride
    if any(p % s for p, s in zip(config.patch_shape, stride, strict=True)):
        raise FailedPrecondition(f"The patch {config.patch_shape} is not a multiple of the network's stride {stride}.")
    network = network.to(device=device, memory_format=memory_layout(config.ndim))  # type: ignore[call-overload]
    average = copy.deepcopy(network).requires_grad_(False)
    optimizer = torch.optim.AdamW(network.parameters(), config.lr, weight_decay=config.weight_decay)
    scaler = torch.amp.GradScaler(device.type, enabled=precision_of(config, device) is torch.float16)
    return RunState(network, average, optimizer, scaler)


def copy_state(source: RunState, into: RunState) -> None:
    """Puts the values of one state into another, whose objects stay the same."""
    into.network.load_state_dict(source.network.state_dict())
    into.average.load_state_dict(source.average.state_dict())
    into.optimizer.load_state_dict(source.optimizer.state_dict())
    if into.scaler.is_enabled():
        into.scaler.load_state_dict(source.scaler.state_dict())
    into.step = source.step
