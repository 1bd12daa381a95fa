"""What a network looks like to the rest of the house, whatever library and device run it.

The currency of dense predictions, from here to the decoder, the scratch and the previews, is the *quantised
prediction*: uint8 of shape (planes, Z, Y, X), for the vote (4, Z, Y, X):

- channel 0: foreground probability, round(255 p);
- channels 1..3: offset to the centre of the nucleus in voxels of the model's grid, order z, y, x, rounded to
  integers, limited to +-127, stored as the bytes of int8. 0 where the foreground byte is 0, and in z for 2D models.

Other decoders have other channels, in the same order: probabilities, the foreground's first, then regressed quantities
in steps of the network's quantum.

It is a quarter of the size of the floats, and all that follows is exact integer arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

CHANNELS = 4
"""Planes of the vote."""

Check = Callable[[], None]


def never_stop() -> None:
    """A check that lets everything go on."""


class Backend(Protocol):
    """A loaded network; safe to call from several threads, which then take turns.

    Attributes:
        name: `torch` or `openvino`.
        device: `cpu` or `cuda:N`.
        precision: `float32` or `float16`, of the convolutions.
        memory_bytes: about how much memory of the device it holds between calls.
    """

    name: str
    device: str
    precision: str

    @property
    def memory_bytes(self) -> int: ...

    def predict(self, batch: np.ndarray, *, check: Check = never_stop) -> np.ndarray:
        """Runs the network on normalised windows.

        Every window is computed alone, so that a result does not depend on what else is in the batch.

        Args:
            batch: float32 (N, Z, Y, X); Z is 1 for a 2D model; sizes are multiples of the model's stride.
            check: called many times a second; what it raises stops the work.

        Returns:
            Quantised predictions, uint8 (N, planes, Z, Y, X).

        Raises:
            LimitExceeded: the window does not fit the device's memory.
        """
        ...

    def close(self) -> None:
        """Frees the device's memory."""
        ...
