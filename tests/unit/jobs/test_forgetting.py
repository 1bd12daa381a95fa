"""Old jobs are forgotten with all that belongs to them, nothing else is, and the sums stay."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import sqlalchemy as sa
from noyau.domain.errors import NotFound
from noyau.domain.jobs import EventKind, JobResult, JobState, SegmentSpec
from noyau.jobs.forgetting import Forgetter, forget
from noyau.jobs.lease import Lease, LeaseLost
from noyau.jobs.store import JobStore
from noyau.jobs.tallies import Amount, Tallies

DAY = 86_400.0


def ended(store: JobStore, spec: SegmentSpec, *, cleaned: bool = True) -> Lease:
    """A job with an event and a finished unit, ended a moment ago."""
    store.submit(spec, idempotency_key="")
    lease = store.claim("w")
    assert lease is not None
    store.append_event(lease, EventKind.STAGE, {"name": "predict"})
    store.ledger(lease).mark("predict", "tile0")
    store.finish(lease, JobState.SUCCEEDED, result=JobResult(nuclei=2))
    if cleaned:
        store.cleaned(lease.job.id)
    return lease


def age(store: JobStore, lease: Lease, days: float) -> None:
    with store.database.writing() as connection:
        connection.execute(
            sa.text("UPDATE jobs SET finished_us = finished_us - :us WHERE number = :number"),
            {"us": int(days * DAY * 1e6), "number": lease.number},
        )


def rows(store: JobStore) -> dict[str, int]:
    with store.database.reading() as connection:
        return {
            table: int(connection.scalar(sa.text(f"SELECT count(*) FROM {table}")) or 0)
            for table in ("jobs", "events", "units")
        }


def tallies(store: JobStore) -> Tallies:
    return Tallies(store.database, lambda job: [Amount("nuclei", (), job.nuclei)])


def test_only_jobs_that_ended_long_ago_are_forgotten(store: JobStore, spec: SegmentSpec, tmp_path: Path) -> None:
    old, recent = ended(store, spec), ended(store, spec)
    running = store.submit(spec)
    age(store, old, 31)
    age(store, recent, 29)
    before = rows(store)
    for job in (old.job, recent.job, running):
        (tmp_path / job.id).mkdir()
    forgetter = Forgetter(store.database, tmp_path, tallies(store), 30 * DAY)
    assert forgetter.round() == 1
    assert forgetter.round() == 0
    with pytest.raises(NotFound):
        store.get(old.job.id)
    assert store.get(recent.job.id).state is JobState.SUCCEEDED
    assert store.get(running.id).state is JobState.QUEUED
    left = rows(store)
    assert (before["jobs"] - left["jobs"], before["units"] - left["units"]) == (1, 1)
    assert before["events"] - left["events"] == 4  # queued, running, stage, succeeded
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == sorted([recent.job.id, running.id])
    # What it did stays counted.
    assert tallies(store).read() == (Amount("nuclei", (), 4),)


def test_a_job_that_is_not_counted_or_not_cleaned_up_stays(store: JobStore, spec: SegmentSpec, tmp_path: Path) -> None:
    uncounted = ended(store, spec)
    age(store, uncounted, 2)
    assert forget(store.database, tmp_path, DAY) == 0
    messy = ended(store, spec, cleaned=False)
    age(store, messy, 2)
    tallies(store).add_ended()
    assert forget(store.database, tmp_path, DAY) == 1
    assert store.get(messy.job.id).id == messy.job.id
    store.cleaned(messy.job.id)
    assert forget(store.database, tmp_path, DAY) == 1


def test_many_are_forgotten_in_parts(store: JobStore, spec: SegmentSpec, tmp_path: Path) -> None:
    for _ in range(5):
        age(store, ended(store, spec), 2)
    tallies(store).add_ended()
    assert [forget(store.database, tmp_path, DAY, limit=2) for _ in range(4)] == [2, 2, 1, 0]


def test_a_worker_that_wakes_up_too_late_stops(store: JobStore, spec: SegmentSpec, tmp_path: Path) -> None:
    late = ended(store, spec)
    age(store, late, 2)
    tallies(store).add_ended()
    forget(store.database, tmp_path, DAY)
    with pytest.raises(LeaseLost):
        store.append_event(late, EventKind.STAGE, {"name": "write"})
    with pytest.raises(LeaseLost):
        store.ledger(late).mark("predict", "tile1")


def test_numbers_are_not_given_again(store: JobStore, spec: SegmentSpec, tmp_path: Path) -> None:
    last = ended(store, spec)
    age(store, last, 2)
    tallies(store).add_ended()
    forget(store.database, tmp_path, DAY)
    assert ended(store, spec).number > last.number


def test_the_thread_forgets_at_once_and_ends(
    store: JobStore, spec: SegmentSpec, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = ended(store, spec)
    age(store, old, 2)
    caplog.set_level(logging.INFO)
    forgetter = Forgetter(store.database, tmp_path, tallies(store), DAY).start()
    # `stop` may come before the thread has begun; so wait for what it does.
    while "were forgotten" not in caplog.text:
        assert forgetter._thread.is_alive()
        forgetter._thread.join(0.05)
    forgetter.stop()
    assert not forgetter._thread.is_alive()
    assert "1 jobs that ended more than 1 days ago were forgotten" in caplog.text
