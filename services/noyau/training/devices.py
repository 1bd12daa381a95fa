"""Where a run trains, and in which arithmetic."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from noyau.domain.errors import FailedPrecondition, InvalidInput
from noyau.domain.processors import usable_processors
from noyau.training.config import TrainConfig

_PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_MOST_LOADERS = 8

# The gradients of its attention are not finite in bfloat16 on a CPU after some ten steps; in float32 they are.
_ONLY_FLOAT32_ON_CPU = ("swin-unetr",)


def training_device(name: str) -> torch.device:
    """The device of a name.

    Raises:
        InvalidInput: the name is unknown.
        FailedPrecondition: there is no such GPU.
    """
    match = re.fullmatch(r"cpu|cuda(?::(\d+))?", name)
    if match is None:
        raise InvalidInput(f"The device '{name}' is unknown.", "Known are: cpu, cuda and cuda:N.")
    if name != "cpu" and not torch.cuda.is_available():
        raise FailedPrecondition("A GPU was asked for but none is available.", "Use the device 'cpu'.")
    if match.group(1) and int(match.group(1)) >= torch.cuda.device_count():
        raise FailedPrecondition(f"There is no GPU {match.group(1)} here.", "Count from 0, or use the device 'cuda'.")
    return torch.device(name)


def precision_of(config: TrainConfig, device: torch.device) -> torch.dtype:
    """The arithmetic of the network. `auto` means float16 on a GPU, bfloat16 on a CPU that has it, else float32."""
    if config.precision != "auto":
        return _PRECISIONS[config.precision]
    if device.type == "cuda":
        return torch.float16
    half = has_bfloat16() and config.architecture not in _ONLY_FLOAT32_ON_CPU
    return torch.bfloat16 if half else torch.float32


def precision_name(config: TrainConfig) -> str:
    """`fp32`, `fp16` or `bf16`: what a run really calculates with where it runs."""
    chosen = precision_of(config, torch.device(config.device))
    return next(name for name, dtype in _PRECISIONS.items() if dtype is chosen)


def has_bfloat16() -> bool:
    """Whether the processor multiplies in bfloat16, which halves the time of a step; others imitate it slowly."""
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def loaders_of(config: TrainConfig, device: torch.device) -> int:
    """Batches that are made at once: a GPU waits for them, a CPU has its hands full."""
    if config.loaders:
        return config.loaders
    processors = usable_processors()
    return min(_MOST_LOADERS, max(1, processors - 1)) if device.type == "cuda" else 1


def where_is(network: torch.nn.Module) -> torch.device:
    """The device of a network's weights."""
    return next(network.parameters()).device


def memory_of(device: torch.device) -> int:
    """Bytes that a run may hope for: free memory of the GPU, or of the machine (proc(5))."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 4 * 2**30
