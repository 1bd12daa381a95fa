"""Networks on torch and OpenVINO: quantised output, batches, both libraries alike, stop."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from noyau.domain.errors import JobCancelled, LimitExceeded
from noyau.inference import openvino_backend, torch_backend
from noyau.inference.backend import never_stop
from noyau.inference.openvino_backend import OpenVinoBackend
from noyau.inference.quantised import QuantisedNetwork
from noyau.inference.torch_backend import TorchBackend
from noyau.models.networks import build
from torch import nn

STRIDE = {2: (1, 4, 4), 3: (2, 4, 4)}
needs_openvino = pytest.mark.skipif(not openvino_backend.is_available(), reason="OpenVINO is not installed")


def network(ndim: int) -> nn.Module:
    """A small vote network with random weights and outputs of a useful size."""
    torch.manual_seed(ndim)
    k, s = [3] * ndim, list(STRIDE[ndim][3 - ndim :])
    levels = [
        {"channels": 4, "stride": [1] * ndim, "down": [k], "up": [k]},
        {"channels": 6, "stride": s, "down": [k]},
    ]
    made = build("vote-unet", {"ndim": ndim, "levels": levels})
    nn.init.normal_(made.head.conv.weight, 0, 20.0)
    return made.eval()


@pytest.fixture(scope="module")
def make() -> Callable[[str, int], TorchBackend | OpenVinoBackend]:
    """A backend by library and dimensions; conversions to OpenVINO take seconds, so each is made once."""

    @cache
    def made(name: str, ndim: int) -> TorchBackend | OpenVinoBackend:
        if name == "torch":
            return TorchBackend(network(ndim), ndim, "cpu")
        return OpenVinoBackend(network(ndim), ndim, STRIDE[ndim], 1)

    return made


def windows(ndim: int, count: int = 3) -> np.ndarray:
    shape = (count, 8, 16, 20) if ndim == 3 else (count, 1, 16, 20)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


BACKENDS = ["torch", pytest.param("openvino", marks=needs_openvino)]


class Fixed(nn.Module):
    """Gives fixed outputs, whatever the input."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.register_buffer("values", torch.tensor(values).view(1, -1, 1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.values.expand(x.shape[0], -1, *x.shape[2:]) + 0 * x


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 1.4, -1.6, 300.0], [128, 1, -2, 127]),
        ([30.0, 0.5, 1.5, -300.0], [255, 0, 2, -127]),
        ([-30.0, 5.0, 6.0, 7.0], [0, 0, 0, 0]),
    ],
)
def test_the_output_is_rounded_clipped_and_zero_in_the_background(values, expected):
    out = QuantisedNetwork(Fixed(values))(torch.zeros(1, 1, 2, 4, 4))[0, :, 0, 0, 0].numpy()
    assert out.dtype == np.uint8
    assert [int(out[0]), *(int(v) for v in out[1:].view(np.int8))] == expected


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", BACKENDS)
def test_a_window_gives_the_same_bytes_in_any_batch(make, name, ndim):
    backend = make(name, ndim)
    batch = windows(ndim)
    together = backend.predict(batch)
    assert together.shape == (3, 4, *batch.shape[1:])
    assert together.dtype == np.uint8
    assert len(np.unique(together[:, 0])) > 20
    for i in (2, 0, 1):
        np.testing.assert_array_equal(backend.predict(batch[i : i + 1])[0], together[i])


@pytest.mark.parametrize("name", BACKENDS)
def test_a_2d_model_has_no_offset_in_z(make, name):
    assert (make(name, 2).predict(windows(2))[:, 1] == 0).all()


@needs_openvino
@pytest.mark.parametrize("ndim", [2, 3])
def test_both_libraries_agree_up_to_rounding(make, ndim):
    ours, theirs = make("torch", ndim).predict(windows(ndim)), make("openvino", ndim).predict(windows(ndim))
    difference = ours.view(np.int8).astype(int) - theirs.view(np.int8)
    assert (difference % 256 == 0).mean() > 0.998


@needs_openvino
def test_openvino_keeps_a_bounded_number_of_shapes(make):
    backend = make("openvino", 2)
    for width in (16, 20, 24, 28, 32, 36):
        backend.predict(np.zeros((1, 1, 16, width), np.float32))
    assert len(backend._compiled) == openvino_backend.COMPILED_SHAPES


@pytest.mark.parametrize("name", BACKENDS)
def test_a_stop_ends_the_forward_pass_and_the_network_stays_usable(make, name):
    backend = make(name, 3)
    expected = backend.predict(windows(3))
    calls = []

    def check():
        calls.append(1)
        if len(calls) == 2:
            raise JobCancelled("Stop.")

    with pytest.raises(JobCancelled):
        backend.predict(np.zeros((4, 64, 128, 128), np.float32), check=check)
    np.testing.assert_array_equal(backend.predict(windows(3)), expected)


def test_too_large_a_window_is_a_limit_and_not_a_crash(make, monkeypatch):
    backend = make("torch", 3)

    def fail(_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 10 bytes.")

    monkeypatch.setattr(backend, "_run", fail)
    with pytest.raises(LimitExceeded, match="8,16,20"):
        backend.predict(windows(3), check=never_stop)
    assert torch_backend.out_of_memory((1, 2, 3), "cuda:0").remedy


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("ndim", [2, 3])
def test_a_gpu_gives_nearly_the_bytes_of_the_cpu_and_the_same_in_any_batch(make, ndim):
    backend = TorchBackend(network(ndim), ndim, "cuda:0")
    batch = windows(ndim)
    together = backend.predict(batch)
    for i in range(len(batch)):
        np.testing.assert_array_equal(backend.predict(batch[i : i + 1])[0], together[i])
    difference = together[:, 0].astype(int) - make("torch", ndim).predict(batch)[:, 0]
    assert np.abs(difference).max() <= 4


@needs_openvino
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are told apart by Linux only")
def test_no_thread_is_bound_to_a_core(make: Callable[[str, int], OpenVinoBackend]) -> None:
    # Several worker processes would all be bound to the first cores of a host, while the others stand idle.
    backend, block = make("openvino", 3), np.zeros((1, 32, 128, 128), np.float32)
    backend.predict(block)  # compiles, which binds threads for a moment
    work = threading.Thread(target=lambda: [backend.predict(block) for _ in range(20)])
    work.start()
    seen = set()
    while work.is_alive():
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(ProcessLookupError):
                seen.add(frozenset(os.sched_getaffinity(int(task.name))))
        time.sleep(0.001)
    assert seen == {frozenset(os.sched_getaffinity(0))}
