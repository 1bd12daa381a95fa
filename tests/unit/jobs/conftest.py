"""The store under test, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from noyau.domain.image import ImageRef
from noyau.domain.jobs import SegmentSpec
from noyau.jobs.settings import JobLimits
from noyau.jobs.store import JobStore

OpenStore = Callable[..., JobStore]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database of each kind."""
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return f"sqlite:///{tmp_path}/jobs.db"


@pytest.fixture
def open_store(database_url: str) -> Iterator[OpenStore]:
    """Opens stores on the same database, with the limits that the test wants, and closes them."""
    opened: list[JobStore] = []

    def open_one(**limits: Any) -> JobStore:
        store = JobStore.open(database_url, JobLimits(**limits))
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: OpenStore) -> JobStore:
    return open_store()


@pytest.fixture
def spec() -> SegmentSpec:
    return SegmentSpec((ImageRef("a.ome.zarr"),))
