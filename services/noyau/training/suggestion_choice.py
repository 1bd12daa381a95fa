"""Which crops to annotate: uncertain ones, different from each other, and none twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from noyau.domain.intensity import compress, rescale
from noyau.domain.model import Normalisation
from noyau.training.suggestion_scores import block_means

# Two crops whose coarse pictures correlate more than this show the same thing.
SAME = 0.95
_SCALES = (1.0, 2.0, 4.0)
_QUANTILES = (5, 25, 50, 75, 90, 97, 99.7)
_THUMBNAIL = (2, 20, 20)
# Part of its score that a crop keeps however much it looks like one that is chosen already.
_KEPT = 0.5


@dataclass(frozen=True)
class Descriptor:
    """What a crop looks like.

    Attributes:
        features: distribution of the intensity, texture at three scales, number and size of the nuclei.
        thumbnail: coarse picture without its slow changes, int8, for recognising the same crop.
    """

    features: tuple[float, ...]
    thumbnail: bytes


def describe_crop(pixels: np.ndarray, low: float, high: float, params: Normalisation, labels: np.ndarray) -> Descriptor:
    """Describes a crop.

    Args:
        pixels: (Z, Y, X).
        low, high: values at the percentiles that normalise it.
        params: of the normalisation.
        labels: the nuclei that the network finds, (Z, Y, X).
    """
    image = compress(rescale(pixels, low, high), params)
    spread = max(float(image.std()), 1e-6)
    texture = []
    smooth = image
    for scale in _SCALES:
        blurred = gaussian_filter(image, (0, scale, scale))
        texture.append(float((smooth - blurred).std()) / spread)
        smooth = blurred
    sizes = np.bincount(labels.ravel())[1:]
    sizes = sizes[sizes > 0]
    nuclei = (
        float(np.sqrt((labels > 0).mean())),
        float(np.log1p(1e6 * len(sizes) / labels.size)),
        float(np.log1p(np.median(sizes))) if len(sizes) else 0.0,
    )
    quantiles = tuple(float(q) for q in np.percentile(image, _QUANTILES))
    return Descriptor((*quantiles, *texture, *nuclei), _thumbnail(image))


def choose(scores: Sequence[float], descriptors: Sequence[Descriptor], count: int) -> list[int]:
    """Picks crops one after another: the one with the highest score that is unlike those chosen already.

    A crop's score is lowered by up to one half for being like a chosen one (distance of the features, each in its own
    spread, against the median distance); a crop that shows the same as a chosen one is never picked, nor is one with
    the score 0.

    Returns:
        Indices, best first; fewer than `count` where no more are worth it.
    """
    worth = np.array(scores, dtype=float)
    if len(worth) == 0:
        return []
    features = _standardised(np.array([d.features for d in descriptors], dtype=float))
    thumbnails = _unit_length(np.array([np.frombuffer(d.thumbnail, np.int8) for d in descriptors], dtype=float))
    scale = _typical_distance(features)
    nearest = np.full(len(worth), np.inf)
    chosen: list[int] = []
    while len(chosen) < count:
        unlike = np.where(np.isinf(nearest), 1.0, nearest / (np.where(np.isinf(nearest), 0, nearest) + scale))
        gain = worth * (_KEPT + (1 - _KEPT) * unlike)
        best = int(gain.argmax())
        if gain[best] <= 0:
            break
        chosen.append(best)
        nearest = np.minimum(nearest, np.sqrt(((features - features[best]) ** 2).mean(axis=1)))
        worth[thumbnails @ thumbnails[best] > SAME] = 0
        worth[best] = 0
    return chosen


def _thumbnail(image: np.ndarray) -> bytes:
    parts = [min(n, p) for n, p in zip(image.shape, _THUMBNAIL, strict=True)]
    z, y, x = (n // p for n, p in zip(image.shape, parts, strict=True))
    coarse = block_means(image, (z, y, x))[: parts[0], : parts[1], : parts[2]]
    # Two fields under one uneven lamp share the lamp only.
    coarse = coarse - gaussian_filter(coarse, (0, 3, 3))
    full = np.zeros(_THUMBNAIL)
    full[tuple(slice(0, n) for n in coarse.shape)] = coarse
    return np.rint(full / max(float(np.abs(full).max()), 1e-9) * 127).astype(np.int8).tobytes()


def _unit_length(vectors: np.ndarray) -> np.ndarray:
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(np.sqrt((centred**2).sum(axis=1, keepdims=True)), 1e-9))


def _standardised(features: np.ndarray) -> np.ndarray:
    spread = features.std(axis=0)
    return np.asarray((features - features.mean(axis=0)) / np.where(spread > 0, spread, 1))


def _typical_distance(features: np.ndarray) -> float:
    """Median distance between crops; of many crops a regular sample is enough."""
    some = features[:: max(1, len(features) // 256)]
    squares = ((some[:, None] - some[None]) ** 2).mean(axis=-1)
    apart = np.sqrt(squares[np.triu_indices(len(some), 1)])
    apart = apart[apart > 0]
    return float(np.median(apart)) if len(apart) else 1.0
