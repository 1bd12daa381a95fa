"""Which weights of a run are the best, and when there is no hope of better ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

# Figures of whole images that are averaged to one score, and what is taken where no image could be scored.
_SCORED = ("f1_50", "f1_70", "seg")
_INSTEAD = "foreground_iou"
# A better score that differs less than this is noise of the validation set, and does not reset the patience.
_NOTABLE = 1e-4


@dataclass
class Best:
    """The best validation so far.

    Attributes:
        score: higher is better; minus infinity before the first one.
        step: at which it was reached.
        stale: validations since then.
    """

    score: float = -math.inf
    step: int = -1
    stale: int = 0

    def judge(self, score: float, step: int) -> bool:
        """Takes note of a validation; True where it is the best."""
        if score > self.score + _NOTABLE:
            self.score, self.step, self.stale = score, step, 0
            return True
        self.stale += 1
        return False

    @property
    def exists(self) -> bool:
        return self.step >= 0


def score_of(figures: Mapping[str, float]) -> float | None:
    """One number for the figures of a validation: the mean of F1 and SEG, else the overlap of the foreground.

    None where there is neither.
    """
    found = [figures[name] for name in _SCORED if name in figures and math.isfinite(figures[name])]
    if found:
        return sum(found) / len(found)
    return figures.get(_INSTEAD)
