"""Small pictures of a pair, by which thousands of pairs can be compared with each other."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

IMAGE_SIZE = 96
FOREGROUND_SIZE = 48
# Hot pixels and saturated debris must not decide what a picture looks like.
_LOW, _HIGH = 1.0, 99.8
_SAMPLE = 200_000


def outline_of(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The image (96, 96) and the foreground (48, 48), as means over z and over equal parts of y and x, float16.

    Args:
        image: z/y/x or y/x.
        labels: of the same shape.
    """
    sample = image.ravel()[:: max(1, image.size // _SAMPLE)].astype(np.float64)
    low, high = np.percentile(sample, [_LOW, _HIGH])
    flat = _flattened(image, float(low), float(max(high, low + 1e-12)))
    foreground = labels > 0
    shares = foreground.mean(axis=0, dtype=np.float32) if foreground.ndim == 3 else foreground.astype(np.float32)
    return shrink(flat, IMAGE_SIZE).astype(np.float16), shrink(shares, FOREGROUND_SIZE).astype(np.float16)


def _flattened(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """Mean over z of the clipped image, 0 at the low and 1 at the high value, float32; plane by plane."""
    planes = image if image.ndim == 3 else image[None]
    total = np.zeros(planes.shape[1:], np.float64)
    for plane in planes:
        total += np.clip(plane.astype(np.float64), low, high) - low
    return (total / (len(planes) * (high - low))).astype(np.float32)


def shrink(pictures: np.ndarray, size: int) -> np.ndarray:
    """Area means on a grid of `size` x `size`, float32; the last two axes are y and x."""
    stack = torch.from_numpy(np.ascontiguousarray(pictures, dtype=np.float32))
    flat = functional.adaptive_avg_pool2d(stack.reshape(-1, 1, *stack.shape[-2:]), (size, size))
    return flat.reshape(*stack.shape[:-2], size, size).numpy()


def standardised(rows: np.ndarray) -> np.ndarray:
    """Rows with mean 0 and length 1, so that their dot products are correlations; constant rows become 0."""
    centred = rows - rows.mean(-1, keepdims=True)
    length = np.linalg.norm(centred, axis=-1, keepdims=True)
    unit: np.ndarray = centred / np.maximum(length, 1e-6)
    return unit
