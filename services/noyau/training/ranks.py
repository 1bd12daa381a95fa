"""Several processes that train one network together: each takes its share of every batch, all take the same step.

The loss is computed over the outputs of all processes and batch norms see the whole batch, so that n processes with
batch b do what one process with batch n * b does, to the precision of floats.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from noyau.training.synced_norm import synchronise_norms
from noyau.training.targets import Targets

# Names that torchrun gives; see https://docs.pytorch.org/docs/stable/elastic/run.html
_NUMBER, _COUNT, _LOCAL = "RANK", "WORLD_SIZE", "LOCAL_RANK"
_PATIENCE = timedelta(minutes=30)


class Ranks:
    """One process among those of a run.

    Attributes:
        number: 0 leads: it reports, validates, saves and decides when to stop.
        count: of processes.
    """

    def __init__(self, number: int = 0, count: int = 1) -> None:
        self.number, self.count = number, count

    @property
    def leads(self) -> bool:
        return self.number == 0

    @property
    def alone(self) -> bool:
        return self.count == 1

    def wrap(self, network: torch.nn.Module, device: torch.device) -> torch.nn.Module:
        """The network as it is trained: with norms over all processes and gradients that are averaged over them."""
        if self.alone:
            return network
        synchronise_norms(network, device)
        on = [device] if device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=on)

    def share(self, values: Sequence[float]) -> list[float]:
        """The leader's values, in every process."""
        if self.alone:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=_device_of_group())
        distributed.broadcast(tensor, 0)
        return [float(value) for value in tensor.tolist()]

    def gather(self, output: torch.Tensor, targets: Targets) -> tuple[torch.Tensor, Targets]:
        """Outputs and targets of the whole batch; gradients flow into this process's part only."""
        if self.alone:
            return output, targets
        parts = self._all(output.detach())
        parts[self.number] = output
        whole: dict[str, Any] = {
            field.name: torch.cat(self._all(value))
            for field in fields(targets)
            if isinstance(value := getattr(targets, field.name), torch.Tensor)
        }
        return torch.cat(parts), replace(targets, **whole)

    def barrier(self) -> None:
        """Waits for all processes."""
        if not self.alone:
            distributed.barrier()

    def _all(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        mine = tensor.contiguous()
        parts = [torch.empty_like(mine) for _ in range(self.count)]
        distributed.all_gather(parts, mine)
        return parts


def join_ranks(device: str) -> Ranks:
    """This process's place among those that torchrun (or a job) has started; a run of its own where none has.

    Args:
        device: `cpu` or `cuda`; decides what the processes talk through (gloo or NCCL).
    """
    count = int(os.environ.get(_COUNT, "1"))
    if count == 1:
        return Ranks()
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=_PATIENCE)
    return Ranks(int(os.environ[_NUMBER]), count)


def leave_ranks() -> None:
    """Ends what `join_ranks` has begun."""
    if distributed.is_initialized():
        with suppress(RuntimeError):  # the others may have gone already
            distributed.destroy_process_group()


def device_of_rank(device: str) -> str:
    """The GPU of this process where several were started on one host; the device itself otherwise."""
    if device == "cuda" and _LOCAL in os.environ:
        return f"cuda:{os.environ[_LOCAL]}"
    return device


def _device_of_group() -> torch.device:
    if distributed.get_backend() == "nccl":
        return torch.device("cuda", int(os.environ.get(_LOCAL, "0")))
    return torch.device("cpu")
