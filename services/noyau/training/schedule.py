"""How far a run is through its budget, and the learning rate that belongs to it."""

from __future__ import annotations

import math

from noyau.training.config import TrainConfig


def spent(config: TrainConfig, step: int, elapsed: float) -> float:
    """Share of the budget that is spent: of time (seconds) or of steps, whichever is further."""
    shares = [0.0]
    if config.minutes is not None:
        shares.append(elapsed / max(config.minutes * 60.0, 1e-9))
    if config.max_steps is not None:
        shares.append(step / max(config.max_steps, 1))
    return max(shares)


def rate_at(config: TrainConfig, step: int, progress: float, slowdown: float = 1.0) -> float:
    """Learning rate of a step: linear warm-up, then cosine decay; `slowdown` is what setbacks have left of it."""
    return config.lr * min(1.0, (step + 1) / max(config.warmup, 1)) * cosine(progress) * slowdown


def cosine(progress: float) -> float:
    """Learning rate factor: 1 at the start, 0.01 at the end of the budget."""
    return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))
