"""A wider and deeper network starts as its parent's function."""

from __future__ import annotations

import copy

import pytest
import torch
from noyau.domain.errors import FailedPrecondition
from noyau.models.networks import build
from noyau.training.growth import inherit


def trained(arguments: dict) -> torch.nn.Module:
    """A network with statistics and weights that are not those of a fresh one."""
    torch.manual_seed(3)
    network = build("vote-unet", arguments)
    for _ in range(3):
        network(torch.randn(2, 1, 32, 32))
    return network.eval()


def grown(arguments: dict, level: int, **changes: object) -> dict:
    wider = copy.deepcopy(arguments)
    wider["levels"][level].update(changes)
    return wider


@pytest.mark.parametrize(
    ("level", "changes"),
    [(1, {"channels": 13}), (1, {"down": [[3, 3], [3, 3]]}), (0, {"channels": 9}), (1, {})],
    ids=["wider", "deeper", "wider first level", "the same"],
)
def test_the_grown_network_computes_what_its_parent_does_and_learns(tiny_network, level, changes):
    parent = trained(tiny_network)
    child = build("vote-unet", grown(tiny_network, level, **changes))
    inherit(child, parent.state_dict())
    x = torch.randn(1, 1, 24, 24, generator=torch.Generator().manual_seed(1))
    child.eval()
    torch.testing.assert_close(child(x), parent(x), rtol=1e-5, atol=1e-5)
    child(x).square().mean().backward()
    reached = [name for name, p in child.named_parameters() if p.grad is not None and bool(p.grad.abs().sum() > 0)]
    assert any("second" in name for name in reached)


@pytest.mark.parametrize(
    ("child", "why"),
    [
        ({"channels": 7, "down": [[3, 3], [3, 3]]}, "(8, 6, 3, 3) there and (7, 6, 3, 3) here"),
        ({"down": [[3, 3]]}, "it has"),
        ({"down": [[5, 5], [5, 5]]}, "kernel"),
        ({"down": [[3, 3], [3, 3]], "up": [[3, 3]]}, "lacks"),
    ],
)
def test_a_parent_that_does_not_fit_is_refused_with_the_reason(tiny_network, child, why):
    parent = trained(grown(tiny_network, 1, down=[[3, 3], [3, 3]]))
    network = build("vote-unet", grown(tiny_network, 1, **child))
    with pytest.raises(FailedPrecondition) as told:
        inherit(network, parent.state_dict())
    assert why in str(told.value)
