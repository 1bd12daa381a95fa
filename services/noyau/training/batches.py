"""Training batches as a pure function of the run's seed and the step.

Nothing is kept between steps, so a resumed run draws the very patches that the uninterrupted one would have drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from noyau.domain.errors import InvalidInput
from noyau.training.augmentation import augment, compress, empty_patch
from noyau.training.config import TrainConfig
from noyau.training.dataset import Pair, sampling_weights
from noyau.training.devices import training_device
from noyau.training.sampling import cut, draw_centre, draw_matrix
from noyau.training.targets import Targets

Batch = tuple[torch.Tensor, Targets]

# Separates the random numbers of validation crops from those of the training steps.
_FIXED_STREAM = 1 << 40


class BatchSource:
    """Draws batches from real and synthetic pairs.

    Args:
        config: patch, batch size, seed, shares and augmentation.
        real: pairs to train on.
        synthetic: generated pairs; drawn with probability `config.synthetic_fraction`.
        rank: of this process among those that share a batch; each draws other patches.
    """

    def __init__(
        self, config: TrainConfig, real: Sequence[Pair], synthetic: Sequence[Pair] = (), rank: int = 0
    ) -> None:
        if not real and not synthetic:
            raise InvalidInput("There is no pair to train on.", "Check the data paths and the validation split.")
        self._config, self._rank = config, rank
        self._device = training_device(config.device)
        self._objective = config.objective
        self._pools = [list(real), list(synthetic)]
        self._weights = [sampling_weights(pool) if pool else np.zeros(0) for pool in self._pools]

    def batch(self, step: int) -> Batch:
        """Inputs (N, 1, *patch) and targets of a training step."""
        config = _at_step(self._config, step)
        first = self._rank * config.batch
        numbers = range(first, first + config.batch)
        return _stack([self._item(np.random.default_rng([config.seed, step, i]), config) for i in numbers])

    def with_config(self, config: TrainConfig) -> BatchSource:
        """The same pairs under another configuration."""
        return BatchSource(config, self._pools[0], self._pools[1], self._rank)

    def fixed_crops(self, count: int) -> list[Batch]:
        """Crops without augmentation, the same in every run of one seed, to follow the loss on validation data."""
        crops = []
        for index in range(count):
            rng = np.random.default_rng([self._config.seed, _FIXED_STREAM + index])
            pair = self._pools[0][index % len(self._pools[0])]
            patch = self._config.patch_shape
            matrix = np.eye(len(patch))
            raw = cut(pair, patch, matrix, draw_centre(rng, pair, patch, matrix))
            targets = self._objective.targets(raw, pair)
            image = compress(raw.image, self._config.normalisation)
            crops.append(_stack([self._objective.finish(image, targets, rng)]))
        return crops

    def _item(self, rng: np.random.Generator, config: TrainConfig) -> tuple[torch.Tensor, Targets]:
        patch = config.patch_shape
        if rng.random() < config.augment.empty:
            image = empty_patch(patch, rng, config.normalisation).to(self._device)
            return self._objective.finish(image, self._objective.nothing(patch), rng)
        synthetic = bool(self._pools[1]) and (not self._pools[0] or rng.random() < config.synthetic_fraction)
        pool, weights = self._pools[synthetic], self._weights[synthetic]
        pair = pool[int(rng.choice(len(pool), p=weights))]
        matrix = draw_matrix(rng, len(patch), config.augment)
        raw = cut(pair, patch, matrix, draw_centre(rng, pair, patch, matrix))
        targets = self._objective.targets(raw, pair)
        image = augment(raw.image.to(self._device), rng, config.augment, config.normalisation)
        return self._objective.finish(image, targets, rng)


def _at_step(config: TrainConfig, step: int) -> TrainConfig:
    """The configuration with the shares that hold at a step."""
    variety = config.variety(step)
    wide = replace(config.augment, zoom_wide_share=config.augment.zoom_wide_share * variety)
    return replace(config, augment=wide, synthetic_fraction=config.synthetic_fraction * variety)


def _stack(items: Sequence[tuple[torch.Tensor, Targets]]) -> Batch:
    targets = [t for _, t in items]
    return torch.stack([x[None] for x, _ in items]), Targets(
        torch.stack([t.foreground for t in targets]),
        torch.stack([t.offsets for t in targets]),
        torch.stack([t.foreground_weight for t in targets]),
        torch.stack([t.offset_weight for t in targets]),
    )
