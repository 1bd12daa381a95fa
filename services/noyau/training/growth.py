"""Starting a network from the weights of a parent that may be narrower or shallower."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import nn

from noyau.domain.errors import FailedPrecondition
from noyau.models.networks import DenseNetwork

# The last norm of a residual block: a block whose last norm is zero adds nothing.
_LAST_NORM = re.compile(r"levels\.\d+\.down\.\d+\.second\..*N\.weight")

_HEAD = "head."


def inherit(network: DenseNetwork, parent: Mapping[str, torch.Tensor]) -> None:
    """Copies the parent's weights into `network`, in place, so that both compute the same function at first.

    Where the network is wider, the parent's channels come first and do not listen to the new ones; residual blocks
    that the parent lacks start as the identity. What is new is trained from its random start (the idea of Net2Net,
    Chen et al. 2016, arXiv:1511.05641, here by zeros instead of copies).

    A parent that answers something else (another decoder, or what was hidden in pretraining) gives everything but its
    head, which starts fresh; both then agree in what they see, not in what they say.

    Args:
        network: freshly built.
        parent: state of a network of the same family, by parameter name.

    Raises:
        FailedPrecondition: the parent is wider or deeper, has other kernels, or lacks a layer that cannot be added.
    """
    own = network.state_dict()
    if _answers(own) != _answers(parent):
        head = {name: value for name, value in own.items() if name.startswith(_HEAD)}
        parent = {**{name: value for name, value in parent.items() if not name.startswith(_HEAD)}, **head}
    transposed = {
        f"{name}.weight"
        for name, module in network.named_modules()
        if isinstance(module, nn.ConvTranspose2d | nn.ConvTranspose3d)
    }
    surplus = sorted(set(parent) - set(own))
    if surplus:
        raise _no_fit(f"it has '{surplus[0]}'")
    for name, value in own.items():
        old = parent.get(name)
        if old is None:
            _add(name, value)
        elif old.dim() != value.dim() or any(a > b for a, b in zip(old.shape, value.shape, strict=True)):
            raise _no_fit(f"'{name}' is {tuple(old.shape)} there and {tuple(value.shape)} here")
        elif old.shape[2:] != value.shape[2:]:
            raise _no_fit(f"the kernel of '{name}' differs")
        else:
            _copy(value, old.to(value.dtype), into=0 if name in transposed else 1)


def _answers(state: Mapping[str, torch.Tensor]) -> set[int]:
    """Numbers of channels that the head gives."""
    return {len(value) for name, value in state.items() if name.startswith(_HEAD) and name.endswith(".bias")}


def _add(name: str, value: torch.Tensor) -> None:
    """A parameter that the parent lacks: allowed inside residual blocks only."""
    if not re.match(r"levels\.\d+\.down\.\d+\.(first|second)\.", name):
        raise _no_fit(f"it lacks '{name}'")
    if _LAST_NORM.fullmatch(name):
        value.zero_()


def _copy(value: torch.Tensor, old: torch.Tensor, into: int) -> None:
    """The parent's values in the first corner; its channels get nothing from new ones, along dimension `into`."""
    if value.dim() == 0:
        value.copy_(old)
        return
    if value.dim() > 1:
        value.narrow(into, old.shape[into], value.shape[into] - old.shape[into]).zero_()
    value[tuple(slice(0, n) for n in old.shape)] = old


def _no_fit(why: str) -> FailedPrecondition:
    return FailedPrecondition(
        f"The parent model does not fit this network: {why}.",
        "Train with the parent's network arguments, or with wider or deeper ones of the same kind.",
    )
