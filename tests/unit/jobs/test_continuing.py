"""A ledger that names files which are not on this host is not believed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from noyau.jobs.continuing import BEGUN, take_up
from noyau.jobs.store import JobStore


class Ledger:
    """Counts how often it was emptied."""

    def __init__(self, units: int) -> None:
        self.units = units

    def forget(self) -> int:
        units, self.units = self.units, 0
        return units


def test_a_first_attempt_believes_its_ledger(tmp_path: Path) -> None:
    ledger, told = Ledger(3), []
    take_up(tmp_path / "job", 1, ledger.forget, told.append)
    assert ledger.units == 3 and not told and (tmp_path / "job" / BEGUN).exists()


def test_a_later_attempt_on_the_same_files_goes_on(tmp_path: Path) -> None:
    ledger, told = Ledger(3), []
    take_up(tmp_path / "job", 1, ledger.forget, told.append)
    take_up(tmp_path / "job", 2, ledger.forget, told.append)
    assert ledger.units == 3 and not told


def test_a_later_attempt_without_the_files_begins_anew_and_says_so(tmp_path: Path) -> None:
    ledger, told = Ledger(3), []
    take_up(tmp_path / "here" / "job", 1, ledger.forget, told.append)
    take_up(tmp_path / "there" / "job", 2, ledger.forget, told.append)
    assert ledger.units == 0
    assert len(told) == 1 and "begins anew" in told[0]
    # Once is enough: its own files are here from now on.
    ledger.units = 2
    take_up(tmp_path / "there" / "job", 3, ledger.forget, told.append)
    assert ledger.units == 2 and len(told) == 1


def test_nothing_is_said_where_nothing_was_finished(tmp_path: Path) -> None:
    told: list[str] = []
    take_up(tmp_path / "job", 2, Ledger(0).forget, told.append)
    assert not told


@pytest.fixture
def leased(tmp_path: Path):  # type: ignore[no-untyped-def]
    from noyau.domain.image import ImageRef
    from noyau.domain.jobs import SegmentSpec

    with JobStore.open(f"sqlite:///{tmp_path}/jobs.db") as store:
        store.submit(SegmentSpec((ImageRef("x"),)))
        lease = store.claim("host|boot|ns|1|1", kinds=("segment",), lease_seconds=60)
        assert lease is not None
        yield store, lease
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_the_ledger_of_the_store_forgets_its_own_job(leased) -> None:  # type: ignore[no-untyped-def]
    store, lease = leased
    ledger = store.ledger(lease)
    ledger.mark("predict", "a")
    ledger.mark("write", "a", {"x": 1})
    assert ledger.forget() == 2 and ledger.finished("predict") == ledger.finished("write") == {}
    assert ledger.forget() == 0
