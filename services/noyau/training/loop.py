"""The training loop: steps until the budget is spent, validation, checkpoints, and the way back from setbacks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from noyau.domain.errors import FailedPrecondition, LimitExceeded
from noyau.domain.progress import Reporter
from noyau.models.networks import DenseNetwork
from noyau.training.batches import BatchSource
from noyau.training.checkpoint import (
    BEST_NAME,
    CHECKPOINT_NAME,
    restore,
    restore_best,
    save_best,
    save_checkpoint,
)
from noyau.training.config import TrainConfig
from noyau.training.devices import loaders_of, training_device
from noyau.training.fresh import copy_state, fresh_state, identity
from noyau.training.prefetch import Prefetch
from noyau.training.ranks import Ranks
from noyau.training.schedule import rate_at, spent
from noyau.training.shrinking import is_out_of_memory, smaller_patch
from noyau.training.stepping import Diverged, Stepper, is_finite
from noyau.training.stopping import Best, score_of

Validator = Callable[[DenseNetwork, int], Mapping[str, float]]

# After this many returns to a checkpoint, each with half the rate, the run is given up.
_MOST_SETBACKS = 5


@dataclass(frozen=True)
class TrainResult:
    """What a run ended with.

    Attributes:
        network: the averaged network in eval mode, of the last step or of the best validation (`TrainConfig.keep`).
        step: finished steps.
        elapsed: training seconds.
        best: the best validation; it does not exist where none could be scored.
        changes: what the run changed of its own configuration, and why.
    """

    network: DenseNetwork
    step: int
    elapsed: float
    best: Best = field(default_factory=Best)
    changes: tuple[Mapping[str, Any], ...] = ()


class Loop:
    """One run. `validator` is called with the averaged network in eval mode and the step.

    Args:
        config: the run.
        source: where batches come from.
        reporter: receives metrics and progress, and may stop the run (a checkpoint is written first).
        validator: returns metrics by name; None for no validation.
        clock: seconds, for the time budget.
        parent: weights to start from instead of random ones; a checkpoint that is resumed replaces them.
        ranks: the processes that share every batch; only the leading one reports, validates and saves.
        saved: told the step of every checkpoint that is safely on disk.
    """

    def __init__(
        self,
        config: TrainConfig,
        source: BatchSource,
        reporter: Reporter,
        validator: Validator | None = None,
        clock: Callable[[], float] = time.monotonic,
        parent: Mapping[str, torch.Tensor] | None = None,
        ranks: Ranks | None = None,
        saved: Callable[[int], None] = lambda step: None,
    ) -> None:
        self._config, self._source, self._reporter = config, source, reporter
        self._ranks = ranks or Ranks()
        self._validator = validator if self._ranks.leads else None
        self._clock, self._parent, self._saved = clock, parent, saved
        if config.threads:
            torch.set_num_threads(config.threads)
        self._device = training_device(config.device)
        self._state = fresh_state(config, self._device, parent)
        self._sums: dict[str, float] = {}
        self._begun = self._saved_at = 0.0
        if config.resume and (config.out / CHECKPOINT_NAME).exists():
            self._restore()
            self._reporter.log(f"resumed at step {self._state.step} after {self._state.elapsed:.0f} s")
            self._saved_at = self._state.elapsed
        self._stepper = Stepper(self._config, self._state, self._device, self._ranks)

    def run(self) -> TrainResult:
        """Trains until the budget is spent or validation gives up hope, and returns the averaged network.

        Raises:
            FailedPrecondition: the numbers diverge whatever the rate.
            LimitExceeded: the memory does not suffice for the smallest patch, or the disk for a checkpoint.
        """
        state, config = self._state, self._config
        self._reporter.stage("train")
        self._begun = self._clock() - state.elapsed
        if self._parent is not None and state.step == 0:
            self._validate()
        stopped = True
        with Prefetch(self._source, loaders_of(config, self._device)) as batches:
            try:
                while self._may_go_on():
                    self._advance(batches)
                stopped = False
            finally:
                # What stopped the run is the error to tell, not what came of saving.
                self._save(quietly=stopped)
        return self._result()

    def _may_go_on(self) -> bool:
        """Whether there is another step to take. The leading process decides for all."""
        state, progress, going = self._state, 0.0, False
        try:
            if self._ranks.leads:
                self._reporter.check()
                progress = spent(self._config, state.step, state.elapsed)
                patience = self._config.patience
                going = progress < 1.0 and not (patience and state.best.stale >= patience)
        finally:
            shared = self._ranks.share([going, progress])
        self._progress = shared[1]
        return bool(shared[0])

    def _advance(self, batches: Prefetch) -> None:
        """One step, or one setback."""
        state = self._state
        rate = rate_at(self._config, state.step, self._progress, state.slowdown)
        try:
            parts = self._stepper.step(batches.take(state.step), rate)
        except Diverged as error:
            self._step_back(error)
            return
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self._shrink(batches, error)
            return
        state.step += 1
        state.elapsed = self._clock() - self._begun
        for name, value in (*parts.items(), ("rate", rate)):
            self._sums[name] = self._sums.get(name, 0.0) + value
        if self._ranks.leads:
            self._after_step()

    def _after_step(self) -> None:
        config, state = self._config, self._state
        if state.step % config.report_every == 0:
            self._reporter.metric("train/step", state.step)
            for name, value in self._sums.items():
                self._reporter.metric(f"train/{name}", value / config.report_every)
            self._sums = {}
            self._reporter.progress(spent(config, state.step, state.elapsed), 1.0, "budget")
        if config.validate_every and state.step % config.validate_every == 0:
            self._validate()
        if state.elapsed - self._saved_at >= config.checkpoint_minutes * 60.0:
            self._save()

    def _validate(self) -> None:
        if self._validator is None or not self._config.validate_every:
            return
        state = self._state
        state.average.eval()
        figures = self._validator(state.average, state.step)
        self._reporter.metric("val/step", state.step)
        for name, value in figures.items():
            self._reporter.metric(f"val/{name}", value)
        score = score_of(figures)
        if score is not None and state.best.judge(score, state.step) and self._config.keep == "best":
            save_best(self._config.out, state)

    def _step_back(self, error: Diverged) -> None:
        """Back to the last good checkpoint (or to the start) with half the learning rate."""
        state, config = self._state, self._config
        setbacks = sum(change["what"] == "rate" for change in state.changes) + 1
        if setbacks > _MOST_SETBACKS:
            raise FailedPrecondition(
                f"{error} Half the rate did not help, {_MOST_SETBACKS} times over.",
                "Choose a lower learning rate, and check the images for extreme values.",
            )
        at, slowdown, changes, best = state.step, state.slowdown / 2, list(state.changes), state.best
        if (config.out / CHECKPOINT_NAME).exists():
            self._restore()
        else:
            copy_state(fresh_state(config, self._device, self._parent), state)
        state.best = best
        why = f"the gradient was not finite at step {at}"
        state.changes = [*changes, {"step": state.step, "what": "rate", "to": config.lr * slowdown, "why": why}]
        state.slowdown = slowdown
        self._sums = {}
        # All have read the checkpoint before the next one replaces it.
        self._ranks.barrier()
        self._reporter.log(f"{why}: back to step {state.step} with the rate {config.lr * slowdown:.2g}", "warning")
        self._save()

    def _shrink(self, batches: Prefetch, error: BaseException) -> None:
        """On with a smaller patch where the memory did not suffice."""
        state, config = self._state, self._config
        smaller = smaller_patch(config.patch_shape, state.network.total_stride)
        if smaller is None or not self._ranks.alone:
            remedy = "Set a smaller patch or batch, or take a device with more memory."
            raise LimitExceeded(f"The memory does not suffice for patches of {config.patch_shape}.", remedy) from error
        text = f"the memory did not suffice for patches of {_list(config.patch_shape)} at step {state.step}"
        change = {"step": state.step, "what": "patch", "to": list(smaller), "why": text}
        state.changes = [*state.changes, change]
        state.optimizer.zero_grad(set_to_none=True)
        self._reporter.log(f"{text}: going on with {_list(smaller)}", "warning")
        self._apply_changes()
        batches.restart(self._source)
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _apply_changes(self) -> None:
        """The configuration as the run has changed it so far."""
        patches = [tuple(change["to"]) for change in self._state.changes if change["what"] == "patch"]
        if patches and patches[-1] != self._config.patch_shape:
            self._config = replace(self._config, patch=patches[-1])
            self._source = self._source.with_config(self._config)

    def _restore(self) -> None:
        restore(self._config.out, self._state, identity(self._config))
        self._apply_changes()

    def _save(self, *, quietly: bool = False) -> None:
        state, config = self._state, self._config
        if not self._ranks.leads or not (state.step or state.changes):
            return
        if not all(is_finite(value) for value in state.network.state_dict().values()):
            return  # the checkpoint before is the good one
        self._saved_at = state.elapsed
        try:
            save_checkpoint(config.out, state, {**config.record(), **identity(config)})
        except (LimitExceeded, FailedPrecondition):
            if not quietly:
                raise
            return
        self._saved(state.step)

    def _result(self) -> TrainResult:
        state, config = self._state, self._config
        if self._validator is not None and config.validate_every and state.step % config.validate_every:
            self._validate()
        if config.keep == "best" and state.best.exists and (config.out / BEST_NAME).exists() and self._ranks.leads:
            restore_best(config.out, state)
        state.average.eval()
        return TrainResult(state.average, state.step, state.elapsed, state.best, tuple(state.changes))


def _list(values: tuple[int, ...]) -> str:
    return ",".join(str(value) for value in values)
