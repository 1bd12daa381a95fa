"""Networks kept warm between the jobs of a worker process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

import torch
from torch import nn

from noyau.domain.model import ModelInfo
from noyau.inference.backend import Backend
from noyau.inference.openvino_backend import OpenVinoBackend
from noyau.inference.selection import Choice
from noyau.inference.torch_backend import TorchBackend

Loader = Callable[[], nn.Module]


class BackendCache:
    """A bounded set of loaded networks; the least recently used one is dropped first.

    Args:
        size: most networks kept.
        threads: threads of a network on the CPU; None takes all processors.
    """

    def __init__(self, size: int = 2, threads: int | None = None) -> None:
        self._size = max(1, size)
        self._threads = threads
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
            if key not in self._backends:
                while len(self._backends) >= self._size:
                    _, oldest = self._backends.popitem(last=False)
                    oldest.close()
                self._backends[key] = self._make(info, choice, load())
            self._backends.move_to_end(key)
            return self._backends[key]

    def close(self) -> None:
        """Drops all networks."""
        with self._lock:
            while self._backends:
                self._backends.popitem()[1].close()

    def _make(self, info: ModelInfo, choice: Choice, network: nn.Module) -> Backend:
        if choice.backend == "openvino":
            return OpenVinoBackend(network, info.ndim, info.stride, self._threads)
        if self._threads:
            torch.set_num_threads(self._threads)  # of the whole process, which runs one job at a time
        return TorchBackend(network, info.ndim, choice.device)
