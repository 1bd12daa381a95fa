"""How unsure a network is about a crop: what its answers to several views of the crop do not agree about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from noyau.domain.geometry import Index3
from noyau.training.metrics import score as compare

FOREGROUND = 0.5
# Standard deviations by which the brightest hundredth of an image of noise or of a slope stays below.
STRUCTURE = 8.0
# What a crop is worth in which there is something but the network finds nothing in any view.
UNSEEN = 0.35


@dataclass(frozen=True)
class Uncertainty:
    """What the views of one crop disagree about; every part is between 0 (sure) and 1.

    Attributes:
        pixels: spread of the foreground probability over the views, where any of them sees a nucleus.
        objects: share of the nuclei that are other nuclei in other views (1 - panoptic quality at IoU 0.5).
        doubt: how near the mean probability is to one half, where any view sees a nucleus.
        unseen: there is something in the crop, but no view shows a nucleus.
        nuclei: mean number of nuclei over the views.
    """

    pixels: float
    objects: float
    doubt: float
    unseen: bool
    nuclei: float

    @property
    def score(self) -> float:
        """The mean of the parts; 0 for a crop that is empty."""
        if self.unseen:
            return UNSEEN
        return (self.pixels + self.objects + self.doubt) / 3


def measure_uncertainty(
    probabilities: Sequence[np.ndarray], labels: Sequence[np.ndarray], typical: float, structure: float
) -> Uncertainty:
    """Compares the answers to the views of a crop.

    Args:
        probabilities: foreground bytes (quantised predictions), uint8 (Z, Y, X) on the grid of the crop, per view.
        labels: nuclei, integer (Z, Y, X), per view.
        typical: voxels of one nucleus; evidence of less than that counts less.
        structure: of the crop, see `measure_structure`.
    """
    nuclei = float(np.mean([len(np.unique(one[one > 0])) for one in labels]))
    answers = np.stack(probabilities).astype(np.float32) / np.float32(255)
    seen = answers.max(axis=0) >= FOREGROUND
    if not seen.any() or nuclei == 0:
        return Uncertainty(0.0, 0.0, 0.0, structure > STRUCTURE, 0.0)
    evidence = float(seen.sum()) + typical
    inside = answers[:, seen]
    # The standard deviation of values between 0 and 1 is at most one half.
    pixels = 2 * float(inside.std(axis=0).sum()) / evidence
    doubt = float((1 - np.abs(2 * inside.mean(axis=0) - 1)).sum()) / evidence
    others = [_agreement(labels[0], other) for other in labels[1:]]
    return Uncertainty(pixels, 1 - float(np.mean(others)), doubt, False, nuclei)


def _agreement(first: np.ndarray, other: np.ndarray) -> float:
    """Panoptic quality of one set of nuclei against another, with one pair that agrees added to both.

    The added pair keeps a single flicker in an empty crop from looking like complete disagreement.
    """
    counts = compare(first, other, (0.5,)).counts
    objects = (float(counts.true) + float(counts.pred)) / 2
    return (float(counts.iou[0]) + 1) / (objects + 1)


def measure_structure(pixels: np.ndarray, block: Index3) -> float:
    """How far the brightest hundredth of a crop stands out, in robust standard deviations of the rest.

    Blocks are averaged first, so that noise and single bright voxels do not count: noise stays near 2.5, a slope of
    the background below 2.

    Args:
        pixels: (Z, Y, X).
        block: voxels z/y/x, about a third of a nucleus.
    """
    means = block_means(pixels, block).ravel()
    middle = float(np.median(means))
    spread = 1.4826 * float(np.median(np.abs(means - middle)))
    bright = float(np.percentile(means, 99)) - middle
    return bright / spread if spread > 0 else (0.0 if bright <= 0 else float("inf"))


def block_means(pixels: np.ndarray, block: Index3) -> np.ndarray:
    """Means over blocks z/y/x (cut where the crop is smaller; a rest at the end is left out), float64."""
    sizes = [min(b, n) for b, n in zip(block, pixels.shape, strict=True)]
    whole = pixels[tuple(slice(0, n // b * b) for n, b in zip(pixels.shape, sizes, strict=True))]
    split = [m for n, b in zip(whole.shape, sizes, strict=True) for m in (n // b, b)]
    return np.asarray(whole.reshape(split).mean(axis=(1, 3, 5), dtype=np.float64))
