"""A device that was asked for is used or refused, never replaced."""

from __future__ import annotations

import pytest
import torch
from noyau.domain.errors import FailedPrecondition, InvalidInput
from noyau.inference import openvino_backend
from noyau.inference.selection import Choice, choose


@pytest.fixture
def machine(monkeypatch):
    """Pretends a machine with so many GPUs, with or without OpenVINO."""

    def pretend(gpus: int, openvino: bool) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(openvino_backend, "is_available", lambda: openvino)

    return pretend


@pytest.mark.parametrize(
    ("gpus", "openvino", "device", "backend", "expected"),
    [
        (0, True, "auto", "auto", Choice("cpu", "openvino")),
        (0, False, "auto", "auto", Choice("cpu", "torch")),
        (2, True, "auto", "auto", Choice("cuda:0", "torch")),
        (2, True, "cuda:1", "auto", Choice("cuda:1", "torch")),
        (2, True, "cpu", "auto", Choice("cpu", "openvino")),
        (2, True, "cpu", "torch", Choice("cpu", "torch")),
        (2, True, "auto", "openvino", Choice("cpu", "openvino")),
    ],
)
def test_what_is_chosen(machine, gpus, openvino, device, backend, expected):
    machine(gpus, openvino)
    assert choose(device, backend) == expected


@pytest.mark.parametrize(
    ("gpus", "openvino", "device", "backend", "kind"),
    [
        (0, True, "cuda", "auto", FailedPrecondition),
        (1, True, "cuda:1", "torch", FailedPrecondition),
        (0, False, "cpu", "openvino", FailedPrecondition),
        (1, True, "cuda", "openvino", InvalidInput),
        (0, True, "gpu", "auto", InvalidInput),
        (0, True, "cuda:x", "auto", InvalidInput),
        (0, True, "cpu", "jax", InvalidInput),
    ],
)
def test_what_is_refused(machine, gpus, openvino, device, backend, kind):
    machine(gpus, openvino)
    with pytest.raises(kind) as caught:
        choose(device, backend)
    assert caught.value.remedy
