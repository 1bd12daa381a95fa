"""Networks stay warm, and only a bounded number of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
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
