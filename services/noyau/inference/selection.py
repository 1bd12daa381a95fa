"""Which device and library run a network. A device that was asked for is used or refused, never replaced."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch

from noyau.domain.errors import FailedPrecondition, InvalidInput
from noyau.domain.model import ModelInfo
from noyau.inference import openvino_backend

BACKENDS = ("auto", "torch", "openvino")


@dataclass(frozen=True)
class Choice:
    """What runs the network: device `cpu` or `cuda:N`, backend `torch` or `openvino`."""

    device: str
    backend: str


def choose(device: str, backend: str) -> Choice:
    """Resolves what the caller asked for.

    Args:
        device: `auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:N`.
        backend: `auto` (OpenVINO on a CPU where it is installed, else torch), `torch` or `openvino`.

    Raises:
        InvalidInput: the name of a device or backend is unknown, or they do not go together.
        FailedPrecondition: the device or the backend is not there.
    """
    if backend not in BACKENDS:
        raise InvalidInput(f"The backend '{backend}' is unknown.", f"Known are: {', '.join(BACKENDS)}.")
    found = _device(device)
    if backend == "openvino":
        if found != "cpu":
            if device != "auto":
                raise InvalidInput(f"OpenVINO does not run on {device}.", "Take backend torch, or device cpu.")
            found = "cpu"
        if not openvino_backend.is_available():
            raise FailedPrecondition(
                "OpenVINO is not installed.", "Install noyau[openvino], or take backend torch or auto."
            )
    if backend == "auto":
        backend = "openvino" if found == "cpu" and openvino_backend.is_available() else "torch"
    return Choice(found, backend)


def choose_for(model: ModelInfo, device: str, backend: str) -> Choice:
    """As `choose`, for a model: networks of other makers run on torch, or on OpenVINO where they are ONNX graphs.

    Raises:
        InvalidInput, FailedPrecondition: as `choose`, or the model does not run there.
    """
    if not model.processing:
        return choose(device, backend)
    graph = model.architecture == "onnx"
    needed = "openvino" if graph else "torch"
    if backend not in ("auto", needed):
        raise InvalidInput(
            f"The model {model.ref} runs on {needed}, not on {backend}.", f"Take backend {needed} or auto."
        )
    if graph and device.startswith("cuda"):
        raise InvalidInput(
            f"The model {model.ref} is an ONNX graph, which runs on the processor, and {device} was asked for.",
            "Take device cpu or auto.",
        )
    return choose("cpu" if graph else device, needed)


def _device(wanted: str) -> str:
    match = re.fullmatch(r"auto|cpu|cuda(?::(\d+))?", wanted)
    if match is None:
        raise InvalidInput(f"The device '{wanted}' is unknown.", "Known are: auto, cpu, cuda and cuda:N.")
    if wanted == "cpu":
        return "cpu"
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "auto":
        return "cuda:0" if count else "cpu"
    index = int(match.group(1) or 0)
    if index >= count:
        have = f"{count} GPUs" if count > 1 else "one GPU" if count else "no usable GPU"
        raise FailedPrecondition(
            f"The device {wanted} was asked for, but this machine has {have}.",
            "Take device cpu or auto, or send the job to a machine with a GPU.",
        )
    return f"cuda:{index}"
