"""Networks stay warm, and only a bounded number of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from noyau.domain.model import ModelInfo
from noyau.inference.cache import BackendCache
from noyau.inference.selection import Choice
from torch import nn

INFO = ModelInfo("m", "1", "sha256:a", 2, "x", {}, None, 10.0, (0, 8, 8), (1, 4, 4), (1, 64, 64))
CPU = Choice("cpu", "torch")


@pytest.fixture
def loads():
    return []


@pytest.fixture
def load(loads):
    def make() -> nn.Module:
        loads.append(1)
        return nn.Identity()

    return make


def test_a_network_is_loaded_once(load, loads):
    cache = BackendCache()
    first = cache.get(INFO, CPU, load)
    assert cache.get(INFO, CPU, load) is first
    assert len(loads) == 1


def test_another_digest_or_version_is_another_network(load, loads):
    cache = BackendCache(size=3)
    made = {
        id(cache.get(info, CPU, load)) for info in (INFO, replace(INFO, digest="sha256:b"), replace(INFO, version="2"))
    }
    assert len(made) == len(loads) == 3


def test_the_least_recently_used_network_is_dropped(load, loads):
    cache = BackendCache(size=2)
    old, other, new = (replace(INFO, name=name) for name in "abc")
    cache.get(old, CPU, load)
    kept = cache.get(other, CPU, load)
    cache.get(new, CPU, load)
    assert cache.get(other, CPU, load) is kept
    cache.get(old, CPU, load)
    assert len(loads) == 4


def test_a_network_that_cannot_be_loaded_leaves_the_cache_as_it_was(load, loads):
    cache = BackendCache()

    def fail() -> nn.Module:
        raise OSError("no weights")

    with pytest.raises(OSError, match="no weights"):
        cache.get(INFO, CPU, fail)
    cache.get(INFO, CPU, load)
    assert len(loads) == 1


def network_of(bytes_: int) -> nn.Module:
    """A network that holds so many bytes of weights."""
    module = nn.Identity()
    module.register_buffer("weights", torch.zeros(bytes_ // 4))
    return module


def test_the_memory_budget_decides_how_many_stay() -> None:
    cache = BackendCache(budget=10_000)
    infos = [replace(INFO, name=name) for name in "abcd"]
    first = [cache.get(info, CPU, lambda: network_of(4_000)) for info in infos[:2]]
    assert cache.memory_bytes == 8_000
    assert cache.get(infos[0], CPU, lambda: network_of(4_000)) is first[0]
    cache.get(infos[2], CPU, lambda: network_of(4_000))
    assert cache.memory_bytes == 8_000
    # b was used least recently and is gone; a is still there.
    assert cache.get(infos[0], CPU, lambda: network_of(4_000)) is first[0]
    assert cache.get(infos[1], CPU, lambda: network_of(4_000)) is not first[1]


def test_a_network_larger_than_the_budget_runs_alone() -> None:
    cache = BackendCache(budget=10_000)
    small, large = (replace(INFO, name=name) for name in "ab")
    cache.get(small, CPU, lambda: network_of(4_000))
    kept = cache.get(large, CPU, lambda: network_of(40_000))
    assert cache.memory_bytes == 40_000
    assert cache.get(large, CPU, lambda: network_of(40_000)) is kept


def test_versions_of_one_name_are_served_side_by_side(load, loads) -> None:
    cache = BackendCache(budget=10_000)
    versions = [replace(INFO, version=number, digest=f"sha256:{number}") for number in "12"]
    for _ in range(3):
        assert len({id(cache.get(info, CPU, load)) for info in versions}) == 2
    assert len(loads) == 2


def test_openvino_counts_the_buffers_of_every_window_shape() -> None:
    pytest.importorskip("openvino")
    cache = BackendCache(budget=2**30)
    backend = cache.get(INFO, Choice("cpu", "openvino"), lambda: nn.Conv2d(1, 3, 1).eval())
    before = backend.memory_bytes
    backend.predict(np.zeros((1, 1, 32, 32), np.float32))
    once = backend.memory_bytes
    backend.predict(np.zeros((1, 1, 64, 32), np.float32))
    assert before < once < backend.memory_bytes
    assert backend.memory_bytes - once > once - before
