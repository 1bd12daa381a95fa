"""Do labels belong to their image? Nuclei are brighter (or darker) than what is around them, where the labels say so.

The correlation of an image with the foreground of its labels is compared with that of the same labels moved and
mirrored, and with the labels of the other images of the same shape. Of 613 real pairs, the own labels agreed by 0.46
or more (0.95 typically) and no two images would gain by exchanging labels; of pairs that were swapped on purpose, each
of the two gained at least 0.44 by swapping back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from noyau.training.data.outline import FOREGROUND_SIZE, shrink, standardised

# What each of two images must gain by exchanging their labels, to call them swapped.
_SWAP_GAIN = 0.2
# Labels of another image that agree better by this much, where the own ones hardly agree.
_OTHER_GAIN = 0.35
_HARDLY = 0.25
# A set whose labels agree this well is one in which labels should agree.
USUALLY = 0.5
_SHIFTS = ((0.5, 0.0), (0.0, 0.5), (0.5, 0.5), (0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.25, 0.5), (0.5, 0.25))


@dataclass(frozen=True)
class Doubt:
    """Labels that seem not to belong to their image.

    Attributes:
        index: of the pair.
        other: pair whose labels agree better; None where none do.
        mutual: the other image, too, agrees better with these labels.
        own, better: correlations.
    """

    index: int
    other: int | None
    mutual: bool
    own: float
    better: float


def doubts(
    outlines: Sequence[tuple[np.ndarray, np.ndarray]], shapes: Sequence[tuple[int, ...]]
) -> tuple[list[Doubt], float]:
    """Pairs whose labels seem to be those of another image or of none, and how well labels agree typically.

    Args:
        outlines: of `outline_of`; pairs without any foreground are never doubted.
        shapes: of the images; labels can only be swapped between equal shapes.
    """
    if not outlines:
        return [], 0.0
    images, foregrounds = _unit_rows(outlines)
    table = images @ foregrounds.T
    own = np.diagonal(table).copy()
    labelled = np.abs(foregrounds).sum(1) > 0
    typical = float(np.median(own[labelled])) if labelled.any() else 0.0
    if typical < 0:  # dark nuclei on a bright ground
        table, own = -table, -own
    found = []
    candidates = [int(i) for i in np.flatnonzero(labelled)]
    for index in candidates:
        rivals = [j for j in candidates if j != index and shapes[j] == shapes[index]]
        doubt = _rival(index, rivals, table) or _stranger(index, outlines[index], images, typical)
        if doubt is not None:
            found.append(doubt)
    return found, abs(typical)


def _unit_rows(outlines: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    images = shrink(np.stack([image for image, _ in outlines]), FOREGROUND_SIZE)
    foregrounds = np.stack([foreground for _, foreground in outlines]).astype(np.float32)
    count = len(outlines)
    return standardised(images.reshape(count, -1)), standardised(foregrounds.reshape(count, -1))


def _rival(index: int, rivals: Sequence[int], table: np.ndarray) -> Doubt | None:
    """Another pair's labels that fit clearly better; a swap of the two where that is true on both sides."""
    if not rivals:
        return None
    own = table[index, index]
    gains = table[index, rivals] - own
    mutual = np.minimum(gains, table[rivals, index] - table[rivals, rivals])
    at = int(mutual.argmax())
    if mutual[at] > _SWAP_GAIN:
        return Doubt(index, int(rivals[at]), True, float(own), float(own + gains[at]))
    at = int(gains.argmax())
    if own < _HARDLY and gains[at] > _OTHER_GAIN:
        return Doubt(index, int(rivals[at]), False, float(own), float(own + gains[at]))
    return None


def _stranger(index: int, outline: tuple[np.ndarray, np.ndarray], images: np.ndarray, typical: float) -> Doubt | None:
    """Labels that agree no better with their image than when they are moved elsewhere."""
    foreground = outline[1].astype(np.float32)
    size = len(foreground)
    moved = [np.roll(foreground, (round(size * a), round(size * b)), (0, 1)) for a, b in _SHIFTS]
    moved += [foreground[::-1], foreground[:, ::-1], foreground[::-1, ::-1]]
    rows = standardised(np.stack([foreground, *moved]).reshape(len(moved) + 1, -1))
    scores = rows @ images[index] * (-1 if typical < 0 else 1)
    best = float(scores[1:].max())
    # A foreground that looks the same wherever it is moved (all of the image, a regular pattern) says nothing.
    telling = float((rows[1:] @ rows[0]).max()) < 0.9
    if telling and scores[0] < _HARDLY and scores[0] < best + 0.05:
        return Doubt(index, None, False, float(scores[0]), best)
    return None
