"""The training loop: AdamW, cosine rate over the budget, moving average, clipping, checkpoints, validation."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import torch

from noyau.domain.errors import FailedPrecondition
from noyau.domain.progress import Reporter
from noyau.models.networks import DenseNetwork, build
from noyau.training.batches import Batch, BatchSource
from noyau.training.checkpoint import CHECKPOINT_NAME, RunState, restore, save_checkpoint
from noyau.training.config import TrainConfig
from noyau.training.growth import inherit
from noyau.training.losses import LossParts
from noyau.training.targets import Targets

Validator = Callable[[DenseNetwork, int], Mapping[str, float]]

_REPORT_EVERY = 25


@dataclass(frozen=True)
class TrainResult:
    """What a run ended with: the averaged network in eval mode, and how far it came."""

    network: DenseNetwork
    step: int
    elapsed: float


class Loop:
    """One run. `validator` is called with the averaged network in eval mode and the step.

    Args:
        config: the run.
        source: where batches come from.
        reporter: receives metrics and progress, and may stop the run (a checkpoint is written first).
        validator: returns metrics by name; None for no validation.
        clock: seconds, for the time budget.
        parent: weights to start from instead of random ones; a checkpoint that is resumed replaces them.
    """

    def __init__(
        self,
        config: TrainConfig,
        source: BatchSource,
        reporter: Reporter,
        validator: Validator | None = None,
        clock: Callable[[], float] = time.monotonic,
        parent: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        self._config, self._source, self._reporter, self._validator = config, source, reporter, validator
        self._clock = clock
        if config.threads:
            torch.set_num_threads(config.threads)
        self._device = _device(config.device)
        self._state = _fresh_state(config, self._device, parent)
        self._loss = config.objective.loss
        self._sums: dict[str, float] = {}
        self._saved = 0.0
        if config.resume and (config.out / CHECKPOINT_NAME).exists():
            restore(config.out, self._state, _identity(config))
            self._reporter.log(f"resumed at step {self._state.step} after {self._state.elapsed:.0f} s")
            self._saved = self._state.elapsed

    def run(self) -> TrainResult:
        """Trains until the budget is spent, and returns the averaged network."""
        state, config = self._state, self._config
        self._reporter.stage("train")
        begun = self._clock() - state.elapsed
        with ThreadPoolExecutor(1, thread_name_prefix="batch") as pool:
            upcoming: Future[Batch] = pool.submit(self._source.batch, state.step)
            try:
                while self._progress() < 1.0:
                    self._reporter.check()
                    batch = upcoming.result()
                    upcoming = pool.submit(self._source.batch, state.step + 1)
                    self._train_step(batch)
                    state.step += 1
                    state.elapsed = self._clock() - begun
                    self._after_step()
            finally:
                upcoming.cancel()
                if state.step:
                    save_checkpoint(config.out, state, self._record())
        state.average.eval()
        return TrainResult(_as_network(state.average), state.step, state.elapsed)

    def _progress(self) -> float:
        """Share of the budget that is spent: of time or of steps, whichever is further."""
        config, shares = self._config, [0.0]
        if config.minutes is not None:
            shares.append(self._state.elapsed / max(config.minutes * 60.0, 1e-9))
        if config.max_steps is not None:
            shares.append(self._state.step / max(config.max_steps, 1))
        return max(shares)

    def _train_step(self, batch: Batch) -> None:
        config, state = self._config, self._state
        rate = config.lr * min(1.0, (state.step + 1) / max(config.warmup, 1)) * cosine(self._progress())
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        layout = _layout(config.ndim)
        images, targets = batch
        state.network.train()
        output = state.network(images.to(self._device).contiguous(memory_format=layout))
        # Without this the gradient arrives in another layout and the backward pass falls off the fast path.
        output.register_hook(lambda gradient: gradient.contiguous(memory_format=layout))
        parts: LossParts = self._loss(output, _to_device(targets, self._device))
        state.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(parts.total)
        norm = torch.nn.utils.clip_grad_norm_(state.network.parameters(), config.clip)
        if not math.isfinite(float(norm)):
            raise FailedPrecondition(
                f"The gradient is not finite at step {state.step}.", "Resume with a lower learning rate."
            )
        state.optimizer.step()
        update_average(state.average, state.network, min(config.ema, (state.step + 1) / (state.step + 20)))
        for name in ("total", "entropy", "dice", "offset"):
            self._sums[name] = self._sums.get(name, 0.0) + float(getattr(parts, name).detach())
        self._sums["rate"] = self._sums.get("rate", 0.0) + rate

    def _after_step(self) -> None:
        config, state = self._config, self._state
        if state.step % _REPORT_EVERY == 0:
            for name, value in self._sums.items():
                self._reporter.metric(f"train/{name}", value / _REPORT_EVERY)
            self._sums = {}
            self._reporter.metric("train/step", state.step)
            self._reporter.progress(self._progress(), 1.0, "budget")
        if self._validator and config.validate_every and state.step % config.validate_every == 0:
            state.average.eval()
            for name, value in self._validator(_as_network(state.average), state.step).items():
                self._reporter.metric(f"val/{name}", value)
        if state.elapsed - self._saved >= config.checkpoint_minutes * 60.0:
            self._saved = state.elapsed
            save_checkpoint(config.out, state, self._record())

    def _record(self) -> dict[str, Any]:
        return {**self._config.record(), **_identity(self._config)}


def cosine(progress: float) -> float:
    """Learning rate factor: 1 at the start, 0.01 at the end of the budget."""
    return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))


def update_average(average: torch.nn.Module, network: torch.nn.Module, decay: float) -> None:
    """Moves the average towards the network; counters (integers) are copied."""
    with torch.no_grad():
        current = network.state_dict()
        for name, kept in average.state_dict().items():
            if kept.is_floating_point():
                kept.lerp_(current[name], 1.0 - decay)
            else:
                kept.copy_(current[name])


def _identity(config: TrainConfig) -> dict[str, Any]:
    """What must not change between the first call and a resumption."""
    return {"architecture": config.architecture, "arguments": config.network_arguments, "ndim": config.ndim}


def _fresh_state(config: TrainConfig, device: torch.device, parent: Mapping[str, torch.Tensor] | None) -> RunState:
    # Only the initial weights come from torch's global generator; it is put back as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = build(config.architecture, config.network_arguments)
    if parent is not None:
        inherit(network, parent)
    stride = network.total_stride
    if any(p % s for p, s in zip(config.patch_shape, stride, strict=True)):
        raise FailedPrecondition(f"The patch {config.patch_shape} is not a multiple of the network's stride {stride}.")
    network = network.to(device=device, memory_format=_layout(config.ndim))  # type: ignore[call-overload]
    average = copy.deepcopy(network).requires_grad_(False)
    optimizer = torch.optim.AdamW(network.parameters(), config.lr, weight_decay=config.weight_decay)
    return RunState(network, average, optimizer)


def _layout(ndim: int) -> torch.memory_format:
    return torch.channels_last_3d if ndim == 3 else torch.channels_last


def _device(name: str) -> torch.device:
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise FailedPrecondition("A GPU was asked for but none is available.", "Use the device 'cpu'.")
    return torch.device(name)


def _to_device(targets: Targets, device: torch.device) -> Targets:
    return replace(
        targets,
        foreground=targets.foreground.to(device),
        offsets=targets.offsets.to(device),
        foreground_weight=targets.foreground_weight.to(device),
        offset_weight=targets.offset_weight.to(device),
    )


def _as_network(module: torch.nn.Module) -> DenseNetwork:
    if not isinstance(module, DenseNetwork):
        raise TypeError(f"expected a dense network, got {type(module).__name__}")
    return module
