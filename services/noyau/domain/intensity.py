"""Global robust intensity normalisation, shared by training and inference so that both see the same numbers."""

from __future__ import annotations

import numpy as np

from noyau.domain.model import Normalisation

# Spreads below this share of the larger percentile's magnitude are rounding noise of a constant image.
_RELATIVE_FLOOR = 1e-6
_ABSOLUTE_FLOOR = 1e-12


def percentiles(sample: np.ndarray, params: Normalisation) -> tuple[float, float]:
    """Low and high percentile values of an image or of a strided sample of it.

    Args:
        sample: pixels of any shape and real type; NaN and infinities are ignored.
        params: which percentiles.

    Returns:
        (low value, high value) in the units of the image, the low one larger where `params.inverted`; (0, 0) where no
        finite pixel is left.
    """
    values = np.asarray(sample).ravel()
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 0.0
    low, high = np.percentile(values.astype(np.float64, copy=False), params.percentiles)
    return float(low), float(high)


def rescale(x: np.ndarray, low_value: float, high_value: float) -> np.ndarray:
    """Maps the low value to 0 and the high value to 1, linearly, as float32.

    An image without spread (constant) maps its low value to 0 and never gives NaN. Where the low value is the larger
    one, as for an inverted image, bright becomes dark.
    """
    spread = high_value - low_value
    floor = max(_ABSOLUTE_FLOOR, _RELATIVE_FLOOR * max(abs(low_value), abs(high_value)))
    scaled: np.ndarray = np.asarray(x).astype(np.float32)
    scaled -= np.float32(low_value)
    scaled /= np.float32(spread if abs(spread) > floor else floor)
    return scaled


def compress(scaled: np.ndarray, params: Normalisation) -> np.ndarray:
    """asinh(gain * clip(x)) / asinh(gain): bright objects do not drown dim ones. Monotonic, 0 -> 0 and 1 -> 1."""
    gain = np.float32(params.gain)
    clipped = np.clip(scaled, params.clip[0], params.clip[1])
    compressed: np.ndarray = (np.arcsinh(gain * clipped) / np.arcsinh(gain)).astype(np.float32)
    return compressed


def normalise(x: np.ndarray, low_value: float, high_value: float, params: Normalisation) -> np.ndarray:
    """Pixels of any shape -> float32 network input, given the percentile values of the whole image.

    Args:
        x: pixels of a tile or of the image, any real type, finite.
        low_value: value at the first of `params.percentiles` of the whole image.
        high_value: value at the second one.
        params: gain and clip of the asinh compression.
    """
    return compress(rescale(x, low_value, high_value), params)
