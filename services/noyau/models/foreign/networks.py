"""Networks of other makers as torch modules: known classes of MONAI, TorchScript programs and ONNX graphs.

All of them lie in `weights.safetensors`: the weights of a known class by name, a program or graph as the bytes of its
file. A TorchScript program and an ONNX graph were checked when they were imported
(`noyau.models.bioimageio.torchscript`, `noyau.models.bioimageio.onnx`).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
import torch
from torch import nn

from noyau.domain.errors import DamagedData, FailedPrecondition, InvalidInput
from noyau.models.openvino_core import ON_CPU, openvino_core

TORCHSCRIPT, ONNX, MONAI = "torchscript", "onnx", "monai"
MONAI_CLASSES = (
    "AttentionUnet", "BasicUNet", "DynUNet", "SegResNet", "SwinUNETR", "UNETR", "UNet", "VNet",
)  # fmt: skip
"""Classes of `monai.networks.nets` that take plain arguments and give one map per class."""

LARGEST_NETWORK = 2_000_000_000
"""Parameters of a network at most."""


def is_foreign(architecture: str) -> bool:
    """Whether an architecture is another maker's."""
    return architecture in (TORCHSCRIPT, ONNX) or architecture.partition(":")[0] == MONAI


def build_foreign(architecture: str, arguments: dict[str, Any], state: Mapping[str, torch.Tensor]) -> nn.Module:
    """The network in eval mode.

    Raises:
        InvalidInput: the class is not known, its arguments or the weights do not fit.
        FailedPrecondition: a library that it needs is not installed.
        DamagedData: the program or graph cannot be read.
    """
    if architecture == TORCHSCRIPT:
        return _torchscript(bytes_of(state, TORCHSCRIPT))
    if architecture == ONNX:
        return OnnxNetwork(bytes_of(state, ONNX))
    return _monai(architecture.partition(":")[2], arguments, state)


def state_of(kind: str, content: bytes) -> dict[str, torch.Tensor]:
    """A program or graph as a state that safetensors can hold."""
    return {kind: torch.from_numpy(np.frombuffer(content, np.uint8).copy())}


def bytes_of(state: Mapping[str, torch.Tensor], kind: str) -> bytes:
    """The other way."""
    if kind not in state or state[kind].dtype != torch.uint8:
        raise DamagedData(f"The package holds no {kind} file.", "Import the model again.")
    return state[kind].numpy().tobytes()


class OnnxNetwork(nn.Module):
    """An ONNX graph, run by OpenVINO on the CPU.

    Attributes:
        size: bytes of its file.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.size = len(content)
        try:
            core = openvino_core()
        except ImportError as error:
            raise FailedPrecondition(
                "An ONNX model runs on OpenVINO, which is not installed.", "Install noyau[openvino]."
            ) from error
        try:
            graph = core.read_model(BytesIO(content))
            self._compiled = core.compile_model(graph, "CPU", dict(ON_CPU))
        except RuntimeError as error:
            raise DamagedData(f"The ONNX graph cannot be read: {_first_line(error)}.") from error

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        outputs = self._compiled([x.numpy()])
        return [torch.from_numpy(np.array(value)) for value in outputs.to_tuple()]


def _torchscript(content: bytes) -> nn.Module:
    try:
        with warnings.catch_warnings():
            # torch announces another format; packages of others come in this one.
            warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*torch.jit.*")
            module: nn.Module = torch.jit.load(BytesIO(content), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise DamagedData(f"The TorchScript file cannot be read: {_first_line(error)}.") from error
    return module.eval()


def _monai(name: str, arguments: dict[str, Any], state: Mapping[str, torch.Tensor]) -> nn.Module:
    if name not in MONAI_CLASSES:
        raise InvalidInput(
            f"The network class 'monai.networks.nets.{name}' is not one of the known ones.",
            f"Known are: {', '.join(MONAI_CLASSES)}.",
        )
    import monai.networks.nets as nets

    try:
        # On the meta device a class allocates nothing, whatever widths a package asks for.
        with torch.device("meta"):
            network: nn.Module = getattr(nets, name)(**arguments)
    except Exception as error:  # what a class raises for arguments that do not fit is its own affair
        raise InvalidInput(f"The arguments of the network class '{name}' do not fit: {_first_line(error)}.") from error
    if sum(p.numel() for p in network.parameters()) > LARGEST_NETWORK:
        raise InvalidInput(f"The network class '{name}' with these arguments has too many parameters.")
    try:
        network.load_state_dict({key: _loaded(value) for key, value in state.items()}, assign=True)
    except RuntimeError as error:
        raise InvalidInput(f"The weights do not fit the network class '{name}': {_first_line(error)}.") from error
    if any(tensor.is_meta for tensor in network.state_dict().values()):
        raise InvalidInput(f"The weights do not fill the network class '{name}'.")
    return network.eval()


def _loaded(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return " ".join(lines[:2])[:300].rstrip(".") if lines else type(error).__name__
