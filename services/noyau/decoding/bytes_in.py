"""What the bytes of a quantised prediction mean."""

from __future__ import annotations

from math import ceil

import numpy as np

from noyau.domain.errors import InvalidInput


def check_planes(prediction: np.ndarray, planes: int) -> None:
    """Refuses an array that is no prediction of so many channels.

    Raises:
        InvalidInput: it is not uint8 of shape (planes, Z, Y, X).
    """
    if prediction.ndim != 4 or prediction.shape[0] != planes or prediction.dtype != np.uint8:
        raise InvalidInput(
            f"The prediction is {prediction.dtype} of shape {prediction.shape}; the decoder needs uint8 of shape "
            f"({planes}, Z, Y, X)."
        )


def threshold_byte(probability: float) -> int:
    """Smallest byte that reaches a probability; never 0."""
    return min(255, max(1, ceil(probability * 255)))


def signed(channel: np.ndarray, quantum: float) -> np.ndarray:
    """Regressed quantities, float32 of the same shape, from their signed bytes."""
    return np.asarray(channel.view(np.int8), np.float32) * np.float32(quantum)


def check_share(name: str, value: float) -> None:
    """Refuses a probability or share outside 0..1.

    Raises:
        ValueError: it is outside.
    """
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} {value} is not between 0 and 1")
