"""The heartbeat when the database is away."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from noyau.domain.errors import Unavailable
from noyau.domain.image import ImageRef
from noyau.domain.jobs import Job, JobState, SegmentSpec
from noyau.jobs.heartbeat import Heartbeat
from noyau.jobs.lease import Lease
from noyau.jobs.settings import JobTimes

TIMES = JobTimes(lease=0.3, renew=0.05, cancel_poll=0.02)
LEASE = Lease(Job("j", SegmentSpec((ImageRef("a"),)), JobState.RUNNING), 1, 1, "w")


class Store:
    """Stands for the store; `away` makes it unreachable."""

    def __init__(self) -> None:
        self.away = threading.Event()
        self.beats = 0
        self.enough = threading.Event()

    def heartbeat(self, lease: Lease, lease_seconds: float) -> bool:
        if self.away.is_set():
            raise Unavailable("The database is away.")
        self.beats += 1
        if self.beats == 3:
            self.enough.set()
        return False

    def cancel_requested(self, lease: Lease) -> bool:
        if self.away.is_set():
            raise Unavailable("The database is away.")
        return False


def beat(store: Any, lost: threading.Event) -> Heartbeat:
    return Heartbeat(store, LEASE, TIMES, cancelled=threading.Event(), lost=lost.set)


def test_it_renews_again_and_again() -> None:
    store, lost = Store(), threading.Event()
    with beat(store, lost):
        assert store.enough.wait(5)
    assert not lost.is_set()


def test_a_short_absence_is_borne() -> None:
    store, lost = Store(), threading.Event()
    with beat(store, lost):
        store.away.set()
        assert not lost.wait(TIMES.lease / 3)
        store.away.clear()
        assert store.enough.wait(5)
    assert not lost.is_set()


def test_after_the_length_of_a_lease_without_the_database_the_job_is_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, lost = Store(), threading.Event()
    with beat(store, lost):
        store.away.set()
        assert lost.wait(5)
    assert "no heartbeat" in caplog.text
