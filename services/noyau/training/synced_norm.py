"""Batch normalisation over the batch of all processes.

torch's own `SyncBatchNorm` works on GPUs only; on CPUs the same is done here with plain sums over the processes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


def synchronise_norms(network: nn.Module, device: torch.device) -> None:
    """Replaces the batch norms inside a network, in place; names and values of parameters and buffers stay."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _BatchNorm) and not isinstance(child, SyncedNorm | nn.SyncBatchNorm):
                setattr(parent, name, _on_gpu(child) if device.type == "cuda" else _synced(child))


class SyncedNorm(_BatchNorm):
    """Batch norm whose statistics are those of all processes. Input (N, C, *spatial)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(x)
        # Sums over a batch need more digits than half precision has.
        values = x.float()
        dims = [0, *range(2, x.dim())]
        shape = [1, -1, *([1] * (x.dim() - 2))]
        count = x.numel() / x.shape[1] * distributed.get_world_size()
        mean = _total(values.sum(dims)) / count
        centred = values - mean.view(shape)
        variance = _total(centred.square().sum(dims)) / count
        self._follow(mean.detach(), variance.detach() * count / max(count - 1, 1))
        scaled = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            scaled = scaled * self.weight.view(shape) + self.bias.view(shape)
        normed: torch.Tensor = scaled.to(x.dtype)
        return normed

    def _follow(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Moves the running statistics as `nn.BatchNorm` does (the variance unbiased)."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)

    def _check_input_dim(self, input: torch.Tensor) -> None:
        """Any number of dimensions."""


class _Sum(torch.autograd.Function):
    """Sum over the processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


def _total(values: torch.Tensor) -> torch.Tensor:
    total: torch.Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
    return total


def _on_gpu(norm: _BatchNorm) -> nn.Module:
    converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(norm)  # type: ignore[no-untyped-call]
    return converted


def _synced(norm: _BatchNorm) -> SyncedNorm:
    made = SyncedNorm(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    made.weight, made.bias = norm.weight, norm.bias
    made.running_mean, made.running_var = norm.running_mean, norm.running_var
    made.num_batches_tracked = norm.num_batches_tracked
    return made
