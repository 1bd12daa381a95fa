"""Networks on torch: float32 on a CPU, float16 convolutions on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import nn

from noyau.domain.errors import LimitExceeded
from noyau.inference.backend import Check, never_stop
from noyau.inference.quantised import QuantisedNetwork, has_vectors, place, planes_of


class TorchBackend:
    """See `Backend`.

    Args:
        network: the network in eval mode, with its weights.
        ndim: 2 or 3.
        device: `cpu`, `cuda` or `cuda:N`.
    """

    name = "torch"

    def __init__(self, network: nn.Module, ndim: int, device: str) -> None:
        self.device = device
        self.precision = "float32" if device == "cpu" else "float16"
        self._ndim = ndim
        self.planes = planes_of(network, ndim)
        self._vectors = has_vectors(network, ndim)
        self._layout = torch.channels_last if ndim == 2 else torch.channels_last_3d
        self._module = QuantisedNetwork(network).to(device).eval()
        self._module.to(memory_format=self._layout)  # type: ignore[call-overload]  # torch's stubs leave this form out
        self._lock = Lock()

    @property
    def memory_bytes(self) -> int:
        """See `Backend`; what a forward pass needs is given back after it."""
        return weight_bytes(self._module)

    def predict(self, batch: np.ndarray, *, check: Check = never_stop) -> np.ndarray:
        """See `Backend.predict`."""
        result = np.zeros((len(batch), self.planes, *batch.shape[1:]), np.uint8)
        with self._lock, torch.inference_mode(), _stoppable(self._module, check):
            for window, out in zip(batch, result, strict=True):
                check()
                self._one(window, out)
        return result

    def close(self) -> None:
        """See `Backend.close`."""
        self._module.to("cpu")
        if self.device != "cpu":
            torch.cuda.empty_cache()

    def _one(self, window: np.ndarray, out: np.ndarray) -> None:
        """One window (Z, Y, X) into `out` (planes, Z, Y, X), which is zero."""
        source = torch.from_numpy(np.ascontiguousarray(window if self._ndim == 3 else window[0]))[None, None]
        try:
            y = self._forward(source)[0]
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise out_of_memory(window.shape, self.device) from error
        place(y.numpy(), out, self._ndim, self._module.logits, self._vectors)

    def _forward(self, source: torch.Tensor) -> torch.Tensor:
        if self.device == "cpu":
            return self._run(source.contiguous(memory_format=self._layout))
        # Pinned memory lets the copies run beside the kernels; the copy back waits for the result anyway.
        moved = source.pin_memory().to(self.device, non_blocking=True)
        with torch.autocast("cuda", dtype=torch.float16):
            y = self._run(moved.contiguous(memory_format=self._layout))
        return y.contiguous().cpu()

    def _run(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self._module(x)
        return y


def weight_bytes(network: nn.Module) -> int:
    """Bytes of all weights and buffers of a network, at least 1."""
    tensors = (*network.parameters(), *network.buffers())
    return max(1, sum(tensor.numel() * tensor.element_size() for tensor in tensors))


@contextmanager
def _stoppable(module: nn.Module, check: Check) -> Iterator[None]:
    """Calls `check` before every layer, so that a long forward pass can be left in its middle."""

    def before(_module: nn.Module, _inputs: Any) -> None:
        check()

    handles = [m.register_forward_pre_hook(before) for m in module.modules() if not any(m.children())]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of torch says that the device's memory is full."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "can't allocate memory" in text


def out_of_memory(window: tuple[int, ...], device: str) -> LimitExceeded:
    """The error of a window that does not fit."""
    shape = ",".join(str(n) for n in window)
    return LimitExceeded(
        f"A window of {shape} voxels does not fit the memory of {device}.",
        "Give a smaller tile, for example half of it.",
    )
