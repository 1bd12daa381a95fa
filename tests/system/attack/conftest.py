"""A service of its own for the attacks, and the helpers of this folder made importable."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# pytest's importlib mode leaves sys.path alone, so siblings would not be found.
HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "forging")]

from target import Target  # noqa: E402


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """`noyau serve` in a process of its own: closed, on the loopback, with little patience for slow requests."""
    with Target(tmp_path_factory.mktemp("attacked")) as started:
        yield started
