"""Networks kept warm between the jobs of a worker process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

import torch
from torch import nn

from noyau.domain.meters import Meter
from noyau.domain.model import ModelInfo
from noyau.inference.backend import Backend
from noyau.inference.foreign_backend import ForeignBackend
from noyau.inference.metered import MeteredBackend
from noyau.inference.openvino_backend import OpenVinoBackend
from noyau.inference.selection import Choice
from noyau.inference.torch_backend import TorchBackend, weight_bytes

Loader = Callable[[], nn.Module]


class BackendCache:
    """Loaded networks within a number and a memory budget; the least recently used one is dropped first.

    A network that alone needs more than the budget runs all the same, with nothing kept beside it.

    Args:
        size: most networks kept.
        threads: threads of a network on the CPU; None takes all processors.
        budget: bytes of memory for all of them; None: no limit but their number.
        meter: counts their calls, where somebody wants to know.
    """

    def __init__(
        self,
        size: int = 8,
        threads: int | None = None,
        budget: int | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._size = max(1, size)
        self._threads = threads
        self._budget = budget
        self._meter = meter
        self._backends: OrderedDict[tuple[str, str, Choice], Backend] = OrderedDict()
        self._lock = Lock()

    def get(self, info: ModelInfo, choice: Choice, load: Loader) -> Backend:
        """The network of a model on a device, loaded when it is not there yet.

        Args:
            info: the model; its digest tells versions of the same name apart.
            choice: device and backend.
            load: returns the torch module with its weights, in eval mode; only called when it is needed.
        """
        key = (info.ref, info.digest, choice)
        with self._lock:
            if key in self._backends:
                self._backends.move_to_end(key)
                # The others may have grown since: buffers are made with the first window of a shape.
                self._make_room(0, keep=1)
                return self._backends[key]
            network = load()
            self._make_room(weight_bytes(network))
            made = self._make(info, choice, network)
            self._backends[key] = made if self._meter is None else MeteredBackend(made, self._meter)
            return self._backends[key]

    @property
    def memory_bytes(self) -> int:
        """What all networks that are kept hold now."""
        return sum(backend.memory_bytes for backend in self._backends.values())

    def _make_room(self, needed: int, keep: int = 0) -> None:
        """Drops the oldest until there is room for another one of `needed` bytes (0: for none), but never the newest
        `keep`."""
        most = self._size - (1 if needed else 0)
        while len(self._backends) > keep and (len(self._backends) > most or self._is_over(needed)):
            _, oldest = self._backends.popitem(last=False)
            oldest.close()

    def _is_over(self, needed: int) -> bool:
        return self._budget is not None and self.memory_bytes + needed > self._budget

    def close(self) -> None:
        """Drops all networks."""
        with self._lock:
            while self._backends:
                self._backends.popitem()[1].close()

    def _make(self, info: ModelInfo, choice: Choice, network: nn.Module) -> Backend:
        if info.processing:
            return ForeignBackend(network, info, choice.device)
        if choice.backend == "openvino":
            return OpenVinoBackend(network, info.ndim, info.stride, self._threads)
        if self._threads:
            torch.set_num_threads(self._threads)  # of the whole process, which runs one job at a time
        return TorchBackend(network, info.ndim, choice.device)
