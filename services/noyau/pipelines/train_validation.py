"""Validation while training: whole unseen images, decoded and scored as `noyau evaluate` would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from noyau.decoding.whole import segment_whole
from noyau.domain.geometry import Box, as_index
from noyau.domain.intensity import normalise
from noyau.domain.model import ModelInfo
from noyau.inference.torch_backend import TorchBackend
from noyau.models.networks import DenseNetwork
from noyau.pipelines.decoders import decoder_of
from noyau.planning.reflect import read_reflected
from noyau.training.dataset import Pair
from noyau.training.loop import Validator
from noyau.training.metrics import pool, score

# The IoU thresholds that are followed while training.
_THRESHOLDS = (0.5, 0.7)


def image_validator(pairs: Sequence[Pair], describe: ModelInfo, inner: Validator | None = None) -> Validator:
    """A validator that segments whole images with the network of the moment.

    Args:
        pairs: images that are not trained on.
        describe: halo, stride, normalisation and decoder of the model in the making.
        inner: another validator whose figures are reported as well.
    """

    def validate(network: DenseNetwork, step: int) -> Mapping[str, float]:
        backend = TorchBackend(network, describe.ndim, next(network.parameters()).device.type)
        scores = [score(as_volume(p.labels), segment_pair(backend, p, describe), _THRESHOLDS) for p in pairs]
        pooled = pool(scores)
        figures = {f"f1_{round(100 * t)}": pooled.f1(t) for t in _THRESHOLDS}
        figures["seg"] = pooled.seg
        return {**(inner(network, step) if inner else {}), **figures}

    return validate


def segment_pair(backend: TorchBackend, pair: Pair, describe: ModelInfo) -> np.ndarray:
    """Labels uint32 (Z, Y, X) of one image that fits into memory."""
    return segment_whole(predict_pair(backend, pair, describe), describe.vote, decoder_of(describe))


def predict_pair(backend: TorchBackend, pair: Pair, describe: ModelInfo) -> np.ndarray:
    """Quantised prediction uint8 (planes, Z, Y, X) of one image, in one window with its reflection around it."""
    image = as_volume(normalise(pair.image, pair.low, pair.high, describe.normalisation))
    whole = Box.of(image.shape)
    # The window's end is moved out to a multiple of the stride.
    padded = whole.grown(describe.halo)
    stops = (b + (-n) % s for b, n, s in zip(padded.stop, padded.shape, describe.stride, strict=True))
    window = Box(padded.start, as_index(stops))
    source = read_reflected(lambda box: image[box.slices], window, whole.shape)
    prediction = backend.predict(source[None].astype(np.float32, copy=False))[0]
    inside = whole.relative_to(window.start).slices
    return np.ascontiguousarray(prediction[(slice(None), *inside)])


def as_volume(array: np.ndarray) -> np.ndarray:
    """A plane becomes a volume of one plane."""
    return array if array.ndim == 3 else array[None]
