"""What the worker processes use: sums by name that any room may add to, taken once at the end of a job's attempt.

Names, joined by slashes; every part but the numbers comes from the code, so there are few:

- `device/<cpu or cuda>/seconds`, `.../windows`, `.../voxels`: time in networks, and windows and voxels through them
- `batch/<size>`: calls of a network, by the number of windows rounded up to a power of two
- `step/<lane>`: seconds in the steps of segmentation (`read`, `network`, `store`, `decode`)
- `omero/<operation>/calls`, `.../seconds`, `.../failures`
"""

from __future__ import annotations

import threading

USE = "use/"
"""Metrics of a job whose name begins so are sums of a `Meter`."""
LARGEST_BATCH = 64
"""Larger batches count as this."""


class Meter:
    """Sums by name. Safe to use from several threads."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._lock = threading.Lock()

    def add(self, name: str, value: float) -> None:
        """Adds to a sum."""
        with self._lock:
            self._sums[name] = self._sums.get(name, 0.0) + value

    def batch(self, device: str, windows: int, voxels: int, seconds: float) -> None:
        """Adds one call of a network.

        Args:
            device: `cpu`, `cuda` or `cuda:N`.
            windows: in the call.
            voxels: of all windows, halos included.
            seconds: that it took.
        """
        kind = device.partition(":")[0]
        self.add(f"device/{kind}/seconds", seconds)
        self.add(f"device/{kind}/windows", windows)
        self.add(f"device/{kind}/voxels", voxels)
        self.add(f"batch/{min(LARGEST_BATCH, 1 << max(0, windows - 1).bit_length())}", 1)

    def take(self) -> dict[str, float]:
        """All sums since the last time."""
        with self._lock:
            taken, self._sums = self._sums, {}
        return taken
