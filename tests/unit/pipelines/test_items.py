"""What the name of a model means is decided once per job."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from noyau.domain.errors import FailedPrecondition
from noyau.domain.jobs import SegmentSpec
from noyau.domain.model import ModelInfo
from noyau.domain.progress import MemoryLedger
from noyau.pipelines.items import _model
from noyau.pipelines.ledgers import UnitBook

FIRST = ModelInfo("m", "1", "sha256:1", 3, "vote-unet", {}, None, 10.0, (0, 0, 0), (1, 1, 1), (8, 8, 8))
SECOND = replace(FIRST, version="2", digest="sha256:2")


@dataclass
class Registry:
    """Two versions, and what the alias points to now."""

    production: str = "1"
    models: dict[str, ModelInfo] = field(default_factory=lambda: {"1": FIRST, "2": SECOND})

    def get(self, ref: str) -> ModelInfo:
        selector = ref.partition("@")[2]
        return self.models[selector if selector in self.models else self.production]


def attempt(registry: Registry, ledger: MemoryLedger, model: str | None) -> ModelInfo:
    """What an attempt of the job with this ledger takes."""
    context: Any = SimpleNamespace(registry=registry, ledger=ledger)
    info: Any = SimpleNamespace(is_2d=False)
    return _model(SegmentSpec((), model=model), info, context, UnitBook(ledger))


@pytest.mark.parametrize("model", ["m", "m@production", None])
def test_a_restarted_job_goes_on_with_the_version_that_it_began_with(model: str | None) -> None:
    registry, ledger = Registry(), MemoryLedger()
    assert attempt(registry, ledger, model) == FIRST
    registry.production = "2"
    assert attempt(registry, ledger, model) == FIRST
    assert attempt(registry, MemoryLedger(), model) == SECOND, "another job"


def test_other_weights_under_the_same_version_end_the_job() -> None:
    registry, ledger = Registry(), MemoryLedger()
    attempt(registry, ledger, "m")
    registry.models["1"] = replace(FIRST, digest="sha256:other")
    with pytest.raises(FailedPrecondition, match="other weights"):
        attempt(registry, ledger, "m")
