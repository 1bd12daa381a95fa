"""A network whose calls are counted: how many windows at once, how many voxels, how long."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from noyau.domain.meters import Meter
from noyau.inference.backend import Backend, Check, never_stop


class MeteredBackend:
    """See `Backend`; everything but the counting is the network's own.

    Args:
        network: what computes.
        meter: told of every call that came to its end.
    """

    def __init__(self, network: Backend, meter: Meter) -> None:
        self._network = network
        self._meter = meter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def predict(self, batch: np.ndarray, *, check: Check = never_stop) -> np.ndarray:
        """See `Backend.predict`."""
        started = time.monotonic()
        found = self._network.predict(batch, check=check)
        self._meter.batch(self._network.device, len(batch), batch.size, time.monotonic() - started)
        return found
