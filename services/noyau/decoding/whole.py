"""Final labels of a prediction that is the whole image, with any decoder."""

from __future__ import annotations

import numpy as np

from noyau.decoding import vote
from noyau.decoding.windowed import WindowDecoder
from noyau.domain.model import VoteParams


def segment_whole(prediction: np.ndarray, params: VoteParams, decoder: WindowDecoder | None) -> np.ndarray:
    """Labels uint32 (Z, Y, X), 1..n, with the size filter.

    Args:
        prediction: quantised, uint8 (planes, Z, Y, X).
        params: of the vote.
        decoder: decodes instead of the vote; None for the vote.
    """
    if decoder is None:
        return vote.segment_crop(prediction, params)
    labels = decoder.decode(prediction)
    sizes = np.bincount(labels.ravel())
    kept = sizes >= max(1, decoder.min_voxels)
    kept[0] = False
    number = np.where(kept, np.cumsum(kept), 0).astype(np.uint32)
    return np.asarray(number[labels])
