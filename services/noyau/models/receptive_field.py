"""How far the prediction of a voxel reaches into the input, exactly, from the network itself."""

from __future__ import annotations

import copy

import torch
from torch import nn

from noyau.models.networks import DenseNetwork


def receptive_radius(network: DenseNetwork) -> tuple[int, ...]:
    """Largest distance, per axis, between an output voxel and an input voxel that can influence it.

    Every weight is made positive and every norm the identity, so that no path is silent or cancels; the support of
    the gradient of one output voxel is then the theoretical receptive field. All phases relative to the total stride
    are tried, because a voxel beside a coarse cell's edge sees further on one side.

    Returns:
        One radius per spatial axis, in voxels.
    """
    probe = _positive(network)
    return tuple(_axis_radius(probe, network.total_stride, axis) for axis in range(network.ndim))


# Overlap of the tiles of a network that sees its whole window: no margin makes them exact, some makes seams rare.
_UNBOUNDED_MARGIN = 16


def halo_for(network: DenseNetwork) -> tuple[int, ...]:
    """The receptive radius rounded up to a multiple of the total stride: the margin that makes tiles exact.

    A network that is not bounded has no such margin; for it this is an overlap that keeps seams rare.
    """
    radii = receptive_radius(network) if network.bounded else (_UNBOUNDED_MARGIN,) * network.ndim
    return tuple(-(-r // s) * s for r, s in zip(radii, network.total_stride, strict=True))


def _positive(network: DenseNetwork) -> DenseNetwork:
    probe = copy.deepcopy(network).to(device="cpu", dtype=torch.float64).eval()
    for module in probe.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            nn.init.constant_(module.weight, 1.0 / module.weight[0].numel())
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.reset_parameters()
            module.reset_running_stats()
    return probe


def _axis_radius(probe: DenseNetwork, stride: tuple[int, ...], axis: int) -> int:
    """The radius along one axis; the probe is one coarse cell thin along the others, which keeps it small."""
    cells = 16
    while True:
        reaches = [_reach(probe, stride, axis, cells, phase) for phase in range(stride[axis])]
        # A reach that stays clear of the probe's ends was not cut short by them.
        if max(reaches) < (cells // 2 - 1) * stride[axis]:
            return max(reaches)
        cells *= 2


def _reach(probe: DenseNetwork, stride: tuple[int, ...], axis: int, cells: int, phase: int) -> int:
    """Distance to the furthest input voxel that influences the output voxel at `phase` of the middle cell."""
    shape, at = list(stride), [0] * len(stride)
    shape[axis] = cells * stride[axis]
    at[axis] = cells // 2 * stride[axis] + phase
    x = torch.ones((1, 1, *shape), dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(probe(x)[(0, slice(None), *at)].sum(), x)
    others = [d for d in range(gradient.dim()) if d != axis + 2]
    touched = torch.nonzero(gradient.abs().amax(dim=others)).ravel()
    return int(max(at[axis] - touched.min().item(), touched.max().item() - at[axis]))
