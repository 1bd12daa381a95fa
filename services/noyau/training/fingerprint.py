"""What a dataset looks like to whoever has to choose a training configuration for it.

The idea of a fingerprint that decides patch, spacing and schedule is nnU-Net's (Isensee et al. 2021, Nat Methods 18,
203-211); the measures here are those that matter for nuclei.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import ndimage as ndi

from noyau.domain.errors import InvalidInput
from noyau.training.dataset import Pair
from noyau.training.scaling import REFERENCE

# Enough to know a median, whatever the size of the dataset.
_MOST_PAIRS = 64
_MOST_OBJECTS = 4000
_MOST_SAMPLES = 200_000
# Turns a median absolute deviation into the standard deviation of a normal distribution.
_MAD = 1.4826

NOMINAL: dict[int, tuple[float, ...]] = {3: (9.0, 18.0, 18.0), 2: (22.0, 22.0)}
"""Voxels that the nuclei of the shipped models span."""

Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class Fingerprint:
    """Medians over a dataset; lengths in voxels, z/y/x or y/x.

    Attributes:
        ndim: 2 or 3.
        pairs: images.
        voxels: of all images together.
        shape: of the median image.
        largest: longest axis of any image, per axis.
        voxel_size: micrometres z/y/x of the median image; None where no image says.
        objects: labelled nuclei.
        extent: of the box around the median nucleus.
        diameter: of the ball (disc) as large as the median nucleus.
        size: voxels of the median nucleus.
        foreground: share of the known voxels that are nucleus.
        known: share of the voxels that the annotation covers.
        contrast: median brightness of nuclei above the background, in standard deviations of the background.
    """

    ndim: int
    pairs: int
    voxels: int
    shape: tuple[int, ...]
    largest: tuple[int, ...]
    voxel_size: Spacing | None
    objects: int
    extent: tuple[float, ...]
    diameter: float
    size: float
    foreground: float
    known: float
    contrast: float

    def record(self) -> dict[str, Any]:
        """JSON-ready, rounded to what is meant."""
        return {name: _rounded(value) for name, value in asdict(self).items()}


def take_fingerprint(pairs: Sequence[Pair], *, labelled: bool = True) -> Fingerprint:
    """Measures a dataset.

    Args:
        pairs: what is trained on.
        labelled: False where nothing is annotated; nuclei are then taken to be as large as those of the shipped models.

    Raises:
        InvalidInput: there is no pair, no labelled nucleus, or no voxel whose label is known.
    """
    if not pairs:
        raise InvalidInput("There is no pair to train on.", "Check the data paths and the validation split.")
    some = pairs[:: max(1, len(pairs) // _MOST_PAIRS)]
    known = float(np.mean([1.0 if pair.known is None else pair.known.mean() for pair in some]))
    if labelled:
        _require_labels(pairs, known)
    ndim = pairs[0].image.ndim
    extents = np.concatenate([_extents(pair) for pair in some]) if labelled else np.array([NOMINAL[ndim]])
    radii = [pair.objects.radii for pair in some if len(pair.objects.ids)]
    radius = float(np.median(np.concatenate(radii))) if labelled and radii else REFERENCE[ndim] / 2
    ball = np.pi if ndim == 2 else 4 * np.pi / 3
    sizes = [pair.voxel_size for pair in pairs if pair.voxel_size is not None]
    z, y, x = (float(v) for v in np.median(sizes, axis=0)) if sizes else (0.0, 0.0, 0.0)
    return Fingerprint(
        ndim=ndim,
        pairs=len(pairs),
        voxels=int(sum(pair.image.size for pair in pairs)),
        shape=tuple(int(n) for n in np.median([pair.image.shape for pair in pairs], axis=0)),
        largest=tuple(int(n) for n in np.max([pair.image.shape for pair in pairs], axis=0)),
        voxel_size=(z, y, x) if sizes else None,
        objects=sum(int(pair.objects.counted.sum()) for pair in pairs),
        extent=tuple(float(v) for v in np.median(extents, axis=0)) if len(extents) else (2 * radius,) * ndim,
        diameter=2 * radius,
        size=float(ball * radius**ndim),
        foreground=float(np.mean([_foreground(pair) for pair in some])),
        known=known,
        contrast=float(np.median([_contrast(pair) for pair in some])),
    )


def _require_labels(pairs: Sequence[Pair], known: float) -> None:
    if known == 0.0:
        raise InvalidInput(
            "All labels are marked as unknown (the ignore value), so there is nothing to learn from.",
            "Annotate a part of an image, or give the ignore value that the labels really use.",
        )
    if not any(pair.objects.counted.any() for pair in pairs):
        raise InvalidInput(
            f"The labels of all {len(pairs)} pairs are empty: there is no nucleus to learn from.",
            "Check that the label files belong to the images, and that nuclei are numbered 1, 2, ...",
        )


def _extents(pair: Pair) -> np.ndarray:
    """Voxels of the boxes around objects, float64 (n, ndim); thinned evenly where there are many."""
    boxes = [box for box in ndi.find_objects(pair.labels.astype(np.int32, copy=False)) if box is not None]
    boxes = boxes[:: max(1, len(boxes) // (_MOST_OBJECTS // _MOST_PAIRS))]
    return np.array([[s.stop - s.start for s in box] for box in boxes], float).reshape(-1, pair.image.ndim)


def _foreground(pair: Pair) -> float:
    inside = pair.labels > 0
    return float(inside.mean() if pair.known is None else inside[pair.known].mean() if pair.known.any() else 0.0)


def _contrast(pair: Pair) -> float:
    """How far nuclei stand out, from a strided sample; 0 where one of the two is missing."""
    step = max(1, pair.image.size // _MOST_SAMPLES)
    image, labels = pair.image.ravel()[::step].astype(np.float64), pair.labels.ravel()[::step]
    known = np.ones(labels.shape, bool) if pair.known is None else pair.known.ravel()[::step]
    bright, dark = image[(labels > 0) & known], image[(labels == 0) & known]
    if not len(bright) or not len(dark):
        return 0.0
    middle = float(np.median(dark))
    spread = _MAD * float(np.median(np.abs(dark - middle)))
    return (float(np.median(bright)) - middle) / max(spread, 1e-6 * max(abs(middle), 1.0))


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, tuple):
        return [_rounded(item) for item in value]
    return value
