"""Networks of other makers, run as their packages say, with the answer in the terms of the house.

Unlike ours they come with their own sizes and axes, may look at the whole window (norms over the window, attention),
and say what is foreground in their own way. Windows are filled up to a size that the network takes, by reflection.
"""

from __future__ import annotations

from math import ceil
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import nn

from noyau.domain.errors import LimitExceeded
from noyau.domain.model import ModelInfo
from noyau.inference.backend import Check, never_stop
from noyau.inference.label_votes import votes_of
from noyau.inference.torch_backend import is_out_of_memory, out_of_memory, weight_bytes
from noyau.models.foreign.networks import OnnxNetwork
from noyau.models.foreign.running import forward, postprocessed

SPATIAL = "zyx"


class ForeignBackend:
    """See `Backend`.

    The prediction has one plane (foreground probability) for a model of kind `foreground`; three (foreground, border,
    inside) for `border`; and the four of the vote for `labels`.

    Args:
        network: the network in eval mode.
        info: its description, with `processing`.
        device: `cpu` or `cuda:N`; an ONNX graph runs on the CPU.
    """

    precision = "float32"

    def __init__(self, network: nn.Module, info: ModelInfo, device: str) -> None:
        self.name = "openvino" if isinstance(network, OnnxNetwork) else "torch"
        self.device = "cpu" if isinstance(network, OnnxNetwork) else device
        self.planes = {"foreground": 1, "border": 3, "labels": 4}[info.kind]
        self._info = info
        self._network = network.to(self.device)
        self._lock = Lock()

    @property
    def memory_bytes(self) -> int:
        """See `Backend`."""
        return self._network.size if isinstance(self._network, OnnxNetwork) else weight_bytes(self._network)

    def predict(self, batch: np.ndarray, *, check: Check = never_stop) -> np.ndarray:
        """See `Backend.predict`. `check` is called between windows: a network of another maker has no known layers."""
        result = np.zeros((len(batch), self.planes, *batch.shape[1:]), np.uint8)
        with self._lock:
            for window, out in zip(batch, result, strict=True):
                check()
                out[:] = self._quantised(self._answer(window))
        return result

    def close(self) -> None:
        """See `Backend.close`."""
        self._network.to("cpu")
        if self.device != "cpu":
            torch.cuda.empty_cache()

    def _answer(self, window: np.ndarray) -> np.ndarray:
        """The post-processed output (channels, Z, Y, X) for a prepared window (Z, Y, X)."""
        processing = self._info.processing
        padded = np.pad(window, _filling(window.shape, processing["input"]["sizes"]), mode="symmetric")
        axes: list[str] = processing["input"]["axes"]
        try:
            raw = forward(self._network, processing, _arranged(padded, axes))
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise out_of_memory(window.shape, self.device) from error
        answer = _as_planes(postprocessed(raw, processing), processing["output"]["axes"])
        if answer.shape[1:] != padded.shape:
            raise LimitExceeded(
                f"The model {self._info.ref} gives a map of {answer.shape[1:]} voxels for a window of {padded.shape}.",
                "It cannot be used here; tell its makers.",
            )
        return answer[(slice(None), *(slice(0, n) for n in window.shape))]

    def _quantised(self, answer: np.ndarray) -> np.ndarray:
        rule: dict[str, Any] = self._info.processing["objects"]
        if self._info.kind == "labels":
            return votes_of(np.rint(answer[rule["foreground"]]).astype(np.int64))
        inside = _as_bytes(answer[rule["foreground"]])
        if self._info.kind == "foreground":
            return inside[None]
        return np.stack([inside, _as_bytes(answer[rule["border"]]), inside])


def _filling(shape: tuple[int, ...], sizes: dict[str, list[int]]) -> list[tuple[int, int]]:
    """How much to add behind each axis z, y, x so that the network takes the window.

    Raises:
        LimitExceeded: the network takes only smaller windows.
    """
    added = []
    for name, size in zip(SPATIAL, shape, strict=True):
        least, step = sizes.get(name, [1, 1])
        if size > least and step == 0:
            raise LimitExceeded(
                f"The network takes windows of {least} voxels along {name}, and {size} were asked for.",
                "Leave the tile to the model.",
            )
        wanted = least if size <= least else least + step * ceil((size - least) / step)
        added.append((0, wanted - size))
    return added


def _arranged(window: np.ndarray, axes: list[str]) -> np.ndarray:
    """A window (Z, Y, X) with the axes of the network's input; batch and channel have one element."""
    spatial = [name for name in axes if name in SPATIAL]
    # A 2D network has no z, and the window one plane.
    source = window if "z" in spatial else window[0]
    order = [name for name in SPATIAL if name in spatial]
    moved = source.transpose([order.index(name) for name in spatial])
    return moved.reshape([moved.shape[spatial.index(name)] if name in spatial else 1 for name in axes])


def _as_planes(output: np.ndarray, axes: list[str]) -> np.ndarray:
    """An output with the axes of its description as (channels, Z, Y, X)."""
    if "batch" in axes:
        output = output.take(0, axis=axes.index("batch"))
        axes = [name for name in axes if name != "batch"]
    for place, name in enumerate(("channel", *SPATIAL)):
        if name not in axes:
            output, axes = np.expand_dims(output, place), [*axes[:place], name, *axes[place:]]
        else:
            at = axes.index(name)
            output = np.moveaxis(output, at, place)
            axes = [*axes[:at], *axes[at + 1 :]]
            axes.insert(place, name)
    return output


def _as_bytes(probability: np.ndarray) -> np.ndarray:
    clean = np.nan_to_num(probability, nan=0.0, posinf=1.0, neginf=0.0)
    return np.asarray(np.rint(np.clip(clean, 0.0, 1.0) * 255.0), np.uint8)
