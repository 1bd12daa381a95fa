"""Bootstrap intervals of pooled metrics: images are drawn with replacement, counts summed, formulas applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from noyau.domain.errors import InvalidInput
from noyau.training.metrics import Counts, Score, metric_values, stack


@dataclass(frozen=True)
class Intervals:
    """Lower and upper limits by metric name; metrics per threshold hold one number per threshold.

    Attributes:
        level: probability that the percentile interval covers, e.g. 0.95.
        resamples: number of bootstrap resamples.
        low, high: limits.
    """

    level: float
    resamples: int
    low: dict[str, np.ndarray]
    high: dict[str, np.ndarray]


def bootstrap(scores: Sequence[Score], *, resamples: int = 1000, level: float = 0.95, seed: int = 0) -> Intervals:
    """Percentile bootstrap over images (the independent unit; objects of one image are correlated).

    Deterministic for a seed.

    Raises:
        InvalidInput: no scores, or nonsensical numbers.
    """
    if not scores or resamples < 1 or not 0 < level < 1:
        raise InvalidInput("A bootstrap needs at least one image, one resample and a level between 0 and 1.")
    images = stack(scores)
    n = len(scores)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples).astype(float)
    # tensordot sums the counts of the drawn images for all resamples at once: (resamples, images) x (images, ...).
    resampled = Counts(**{f.name: np.tensordot(drawn, getattr(images, f.name), axes=1) for f in fields(Counts)})
    tail = 100 * (1 - level) / 2
    limits = {
        name: np.percentile(value, [tail, 100 - tail], axis=0) for name, value in metric_values(resampled).items()
    }
    return Intervals(level, resamples, {k: v[0] for k, v in limits.items()}, {k: v[1] for k, v in limits.items()})
