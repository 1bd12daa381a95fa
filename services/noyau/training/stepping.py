"""One step of the optimiser: forward, loss, backward, clipping, update, moving average."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

import torch

from noyau.training.batches import Batch
from noyau.training.checkpoint import RunState
from noyau.training.config import TrainConfig
from noyau.training.devices import precision_of
from noyau.training.losses import LossParts
from noyau.training.ranks import Ranks
from noyau.training.targets import Targets

# Below this the loss of half precision is scaled down so far that its gradients vanish: the numbers are to blame.
_LEAST_SCALE = 1.0


class Diverged(Exception):
    """The loss or a gradient is not a finite number."""


class Stepper:
    """Trains one network, batch by batch.

    Args:
        config: of the run.
        state: what is trained; its counters are left to the caller.
        device: where the network is.
        ranks: the processes that share every batch.
    """

    def __init__(self, config: TrainConfig, state: RunState, device: torch.device, ranks: Ranks) -> None:
        self._state, self._device, self._ranks = state, device, ranks
        self._clip, self._ema, self._layout = config.clip, config.ema, memory_layout(config.ndim)
        self._precision = precision_of(config, device)
        self._loss = config.objective.loss
        self._forward = ranks.wrap(state.network, device)

    def step(self, batch: Batch, rate: float) -> dict[str, float]:
        """Takes one step and returns the parts of the loss by name.

        Raises:
            Diverged: a number is not finite; weights may have been spoilt.
        """
        state = self._state
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        state.network.train()
        parts = self._forward_pass(batch)
        state.optimizer.zero_grad(set_to_none=True)
        # The gradients of all processes are averaged; the loss is that of the whole batch, so they must be summed.
        torch.autograd.backward(state.scaler.scale(parts.total * self._ranks.count))
        state.scaler.unscale_(state.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(state.network.parameters(), self._clip)
        if not math.isfinite(float(norm)):
            self._refuse()
        state.scaler.step(state.optimizer)
        state.scaler.update()
        update_average(state.average, state.network, min(self._ema, (state.step + 1) / (state.step + 20)))
        return {name: float(value.detach()) for name, value in _named(parts)}

    def _forward_pass(self, batch: Batch) -> LossParts:
        images, targets = batch
        images = images.to(self._device, non_blocking=True).contiguous(memory_format=self._layout)
        mixed = self._precision is not torch.float32
        with torch.autocast(self._device.type, self._precision, enabled=mixed):
            output = self._forward(images)
        # Without this the gradient arrives in another layout and the backward pass falls off the fast path.
        output.register_hook(lambda gradient: gradient.contiguous(memory_format=self._layout))
        output, targets = self._ranks.gather(output.float(), _to_device(targets, self._device))
        return self._loss(output, targets)

    def _refuse(self) -> None:
        """Half precision may overflow now and then: the scaler skips the step and lowers its scale. Else: Diverged."""
        state = self._state
        spoilt = not all(is_finite(value) for value in state.network.state_dict().values())
        if spoilt or not state.scaler.is_enabled() or state.scaler.get_scale() <= _LEAST_SCALE:
            raise Diverged(f"The gradient is not finite at step {state.step}.")


def update_average(average: torch.nn.Module, network: torch.nn.Module, decay: float) -> None:
    """Moves the average towards the network; counters (integers) are copied."""
    with torch.no_grad():
        current = network.state_dict()
        for name, kept in average.state_dict().items():
            if kept.is_floating_point():
                kept.lerp_(current[name], 1.0 - decay)
            else:
                kept.copy_(current[name])


def is_finite(tensor: torch.Tensor) -> bool:
    """Whether no value is NaN or infinite."""
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def memory_layout(ndim: int) -> torch.memory_format:
    """The order of values in memory that convolutions are fastest with."""
    return torch.channels_last_3d if ndim == 3 else torch.channels_last


def _named(parts: LossParts) -> Iterable[tuple[str, torch.Tensor]]:
    return ((field.name, getattr(parts, field.name)) for field in fields(parts))


def _to_device(targets: Targets, device: torch.device) -> Targets:
    moved: dict[str, Any] = {
        field.name: value.to(device, non_blocking=True)
        for field in fields(targets)
        if isinstance(value := getattr(targets, field.name), torch.Tensor)
    }
    return replace(targets, **moved)
