"""Networks on OpenVINO: several times faster than torch on a CPU, in float32 all the same."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from math import prod
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import nn

from noyau.inference.backend import Check, never_stop
from noyau.inference.quantised import QuantisedNetwork, has_vectors, place, planes_of
from noyau.inference.torch_backend import weight_bytes
from noyau.models.openvino_core import ON_CPU, openvino_core

POLL_MILLISECONDS = 50
"""How long a stop request may wait while a window is computed."""

COMPILED_SHAPES = 4
"""Compiled networks kept, one per window shape; the least recently used one goes first."""

BUFFER_BYTES = {2: 240, 3: 110}
"""Memory that a compiled network holds per voxel of its window, by dimensions (measured with the shipped models)."""


class OpenVinoBackend:
    """See `Backend`.

    Args:
        network: the network in eval mode, with its weights.
        ndim: 2 or 3.
        stride: the model's total stride z/y/x, for the example input of the conversion.
        threads: threads of the network; None takes all processors.
    """

    name = "openvino"
    device = "cpu"
    precision = "float32"

    def __init__(self, network: nn.Module, ndim: int, stride: tuple[int, int, int], threads: int | None) -> None:
        self._ndim = ndim
        self.planes = planes_of(network, ndim)
        self._logits, self._vectors = int(getattr(network, "logits", 1)), has_vectors(network, ndim)
        self._threads = threads
        self._core = openvino_core()
        self._weights = weight_bytes(network)
        self._graph = _converted(QuantisedNetwork(network).eval(), ndim, stride)
        self._compiled: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self._lock = Lock()

    @property
    def memory_bytes(self) -> int:
        """See `Backend`: the graph, and for every compiled shape its own weights and buffers."""
        windows = tuple(self._compiled)
        return self._weights * (1 + len(windows)) + BUFFER_BYTES[self._ndim] * sum(prod(w) for w in windows)

    def predict(self, batch: np.ndarray, *, check: Check = never_stop) -> np.ndarray:
        """See `Backend.predict`."""
        result = np.zeros((len(batch), self.planes, *batch.shape[1:]), np.uint8)
        with self._lock:
            request = self._request(batch.shape[1:])
            for window, out in zip(batch, result, strict=True):
                place(self._infer(request, window, check), out, self._ndim, self._logits, self._vectors)
        return result

    def close(self) -> None:
        """See `Backend.close`."""
        with self._lock:
            self._compiled.clear()

    def _infer(self, request: Any, window: np.ndarray, check: Check) -> np.ndarray:
        source = np.ascontiguousarray(window if self._ndim == 3 else window[0], np.float32)[None, None]
        check()
        request.start_async({0: source}, share_inputs=True)
        try:
            while not request.wait_for(POLL_MILLISECONDS):
                check()
        except BaseException:
            _stop(request)
            raise
        return np.asarray(request.get_output_tensor(0).data[0])

    def _request(self, window: tuple[int, ...]) -> Any:
        """The compiled network for a window shape, with its buffers."""
        if window in self._compiled:
            self._compiled.move_to_end(window)
            return self._compiled[window]
        while len(self._compiled) >= COMPILED_SHAPES:
            self._compiled.popitem(last=False)
        graph = self._graph.clone()
        graph.reshape([1, 1, *(window if self._ndim == 3 else window[1:])])
        config = {**ON_CPU, "PERFORMANCE_HINT": "LATENCY"}
        if self._threads:
            config["INFERENCE_NUM_THREADS"] = str(self._threads)
        self._compiled[window] = self._core.compile_model(graph, "CPU", config).create_infer_request()
        return self._compiled[window]


def is_available() -> bool:
    """Whether OpenVINO is installed."""
    from importlib.util import find_spec

    return find_spec("openvino") is not None


def _converted(module: nn.Module, ndim: int, stride: tuple[int, int, int]) -> Any:
    """The network as an OpenVINO graph with free spatial sizes."""
    import openvino

    spatial = [s * 4 for s in stride][3 - ndim :]
    with torch.no_grad(), warnings.catch_warnings():
        # OpenVINO converts what torch traces; torch announces another way that OpenVINO does not take yet.
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*torch.jit.*")
        return openvino.convert_model(
            module.cpu(), example_input=torch.zeros(1, 1, *spatial), input=[[1, 1, *([-1] * ndim)]]
        )


def _stop(request: Any) -> None:
    """Stops a running inference and waits until its buffers are free."""
    request.cancel()
    try:
        request.wait()
    except RuntimeError:
        return  # this is how a cancelled request ends
