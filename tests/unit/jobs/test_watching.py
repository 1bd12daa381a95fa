"""Watch: from any event on, to the last one, and no further."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest
from noyau.domain.errors import DeadlineExceeded, NotFound, OutOfRange
from noyau.domain.jobs import Event, EventKind, JobState, SegmentSpec
from noyau.jobs.store import JobStore
from noyau.jobs.watching import wait_until_final, watch, watch_async


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/jobs.db"


def work(store: JobStore, messages: int) -> None:
    """Claims the waiting job and ends it, slowly enough to be watched."""
    lease = store.claim("w")
    assert lease is not None
    for number in range(messages):
        store.append_event(lease, EventKind.LOG, {"message": str(number)})
        time.sleep(0.01)
    store.finish(lease, JobState.SUCCEEDED)


async def collect(store: JobStore, job_id: str, from_seq: int = 1) -> list[Event]:
    return [event async for event in watch_async(store, job_id, from_seq, poll_seconds=0.01)]


def test_a_watch_follows_a_job_to_its_end(store: JobStore, spec: SegmentSpec) -> None:
    job = store.submit(spec)
    worker = threading.Thread(target=work, args=(store, 20))
    worker.start()
    seen = list(watch(store, job.id, poll_seconds=0.01))
    worker.join()
    assert [event.seq for event in seen] == list(range(1, 24))
    assert seen[-1].payload == {"state": "SUCCEEDED"}


async def test_many_watch_at_once_in_an_event_loop(store: JobStore, spec: SegmentSpec) -> None:
    job = store.submit(spec)
    worker = threading.Thread(target=work, args=(store, 20))
    worker.start()
    seen = await asyncio.gather(*(collect(store, job.id, first) for first in (0, 1, 2)))
    worker.join()
    assert [event.seq for event in seen[0]] == list(range(1, 24))
    assert seen[1] == seen[0] and seen[2] == seen[0][1:]


async def test_a_watch_resumes_after_the_end(store: JobStore, spec: SegmentSpec) -> None:
    job = store.submit(spec)
    work(store, 3)
    everything = list(store.events_since(job.id))
    assert list(watch(store, job.id, 4)) == everything[3:] == await collect(store, job.id, 4)
    # Behind the last event of an ended job there is nothing, and nothing to wait for.
    assert list(watch(store, job.id, 7)) == [] == await collect(store, job.id, 7)
    for too_far in (8, 10**12):
        with pytest.raises(OutOfRange, match=str(too_far - 1)):
            list(watch(store, job.id, too_far))
        with pytest.raises(OutOfRange):
            await collect(store, job.id, too_far)


async def test_an_unknown_job_is_refused(store: JobStore) -> None:
    with pytest.raises(NotFound):
        list(watch(store, "nope"))
    with pytest.raises(NotFound):
        await collect(store, "nope", 9)


async def test_a_watcher_that_goes_away_leaves_nothing(store: JobStore, spec: SegmentSpec) -> None:
    job = store.submit(spec)
    task = asyncio.create_task(collect(store, job.id))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.get(job.id).state is JobState.QUEUED


def test_long_histories_come_in_batches(store: JobStore, spec: SegmentSpec) -> None:
    job = store.submit(spec)
    lease = store.claim("w")
    assert lease is not None
    with store.database.writing() as connection:
        # 1200 events as a long job leaves them, quicker than by appending.
        rows = ",".join(f"({lease.number}, {seq}, 0, 'log', '{{}}')" for seq in range(3, 1203))
        connection.exec_driver_sql(f"INSERT INTO events (job_number, seq, time_us, kind, payload) VALUES {rows}")
        connection.exec_driver_sql("UPDATE jobs SET last_seq = 1202")
    store.finish(lease, JobState.FAILED)
    assert [event.seq for event in watch(store, job.id)] == list(range(1, 1204))


def test_waiting_for_the_end(store: JobStore, spec: SegmentSpec) -> None:
    job = store.submit(spec)
    with pytest.raises(DeadlineExceeded, match=job.id):
        wait_until_final(store, job.id, 0.05)
    store.request_cancel(job.id)
    assert wait_until_final(store, job.id, 5).state is JobState.CANCELLED
