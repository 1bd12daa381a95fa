"""What a network would answer that had learnt its objective perfectly: the most that its decoder can make of it."""

from __future__ import annotations

import numpy as np

from noyau.training.dataset import Pair
from noyau.training.objectives import Objective
from noyau.training.sampling import cut
from noyau.training.targets import find_objects

_LARGEST = 127


def ideal_prediction(objective: Objective, labels: np.ndarray) -> np.ndarray:
    """The quantised prediction for true labels; the currency of `noyau.inference.backend`.

    Args:
        objective: of the decoder, with the dimensions of the labels.
        labels: integers (Z, Y, X) or (Y, X), 0 is background.

    Returns:
        uint8 (planes, Z, Y, X).
    """
    pair = Pair("ideal", labels.astype(np.float32), labels, 0.0, 1.0, find_objects(labels))
    raw = cut(pair, labels.shape, np.eye(labels.ndim), (np.array(labels.shape) - 1) / 2)
    targets = objective.targets(raw, pair)
    likely = np.rint(targets.foreground.numpy() * 255).astype(np.uint8)
    steps = np.rint(targets.offsets.numpy() / objective.quantum).clip(-_LARGEST, _LARGEST)
    values = np.where(likely[:1] > 0, steps, 0).astype(np.int8).view(np.uint8)
    if labels.ndim == 3:
        return np.concatenate([likely, values])
    if len(values) == labels.ndim:
        # A vector of a plane has no z.
        values = np.concatenate([np.zeros_like(values[:1]), values])
    return np.concatenate([likely, values])[:, None]
