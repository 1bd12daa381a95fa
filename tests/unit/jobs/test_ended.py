"""Ended jobs are told once each, with where their time went, whatever happened to their workers."""

from __future__ import annotations

import pytest
from noyau.domain.errors import ErrorKind
from noyau.domain.jobs import EventKind, JobError, JobResult, JobState, MeasureSpec, SegmentSpec
from noyau.jobs.ended import EndedJobs, active
from noyau.jobs.lease import Lease
from noyau.jobs.recovering import Loss
from noyau.jobs.store import JobStore


def start(store: JobStore, worker: str = "w") -> Lease:
    lease = store.claim(worker)
    assert lease is not None
    return lease


def test_a_job_whose_worker_was_killed_is_told_once_with_all_its_time(store: JobStore, spec: SegmentSpec) -> None:
    store.submit(spec, group="lab")
    walk = EndedJobs(store.database)
    lease = start(store)
    store.append_event(lease, EventKind.STAGE, {"name": "predict"})
    assert walk.next() == ()
    store.recover_worker("w", Loss.CRASH, "Its worker was killed")
    lease = start(store, "other")
    for name in ("predict", "write"):
        store.append_event(lease, EventKind.STAGE, {"name": name})
    for voxels in (10, 1000):
        store.append_event(lease, EventKind.METRIC, {"name": "voxels", "value": voxels})
    store.append_event(lease, EventKind.METRIC, {"name": "nuclei", "value": 3})
    store.finish(lease, JobState.SUCCEEDED, result=JobResult(nuclei=7))
    (told,) = walk.next()
    assert (told.kind, told.state, told.group, told.cause) == ("segment", JobState.SUCCEEDED, "lab", "")
    assert (told.nuclei, told.voxels, told.attempts) == (7, 1000, 2)
    assert [name for name, _ in told.stages] == ["predict", "predict", "write"]
    assert told.waited is not None
    assert told.ran > 0
    # Stages lie within the time with a worker.
    assert sum(seconds for _, seconds in told.stages) <= told.ran
    assert walk.next() == ()
    assert EndedJobs(store.database).next() == (told,)


def test_failures_tell_their_cause_and_jobs_that_never_ran_no_time(store: JobStore, spec: SegmentSpec) -> None:
    store.submit(spec)
    cancelled = store.submit(spec)
    store.request_cancel(cancelled.id)
    store.finish(start(store), JobState.FAILED, error=JobError("NOT_FOUND", "There is none.", ""))
    failed, never = EndedJobs(store.database).next()
    assert ErrorKind(failed.cause) is ErrorKind.NOT_FOUND
    assert (never.state, never.waited, never.ran, never.stages) == (JobState.CANCELLED, None, 0.0, ())


def test_a_long_job_holds_up_nobody_and_is_told_in_the_end(store: JobStore, spec: SegmentSpec) -> None:
    walk = EndedJobs(store.database)
    store.submit(spec)
    long = start(store)
    for _ in range(5):
        store.submit(spec)
        store.finish(start(store, "w2"), JobState.SUCCEEDED, result=JobResult())
    assert [len(walk.next(limit=2)) for _ in range(4)] == [2, 2, 1, 0]
    store.finish(long, JobState.SUCCEEDED, result=JobResult(nuclei=1))
    assert [job.nuclei for job in walk.next()] == [1]
    assert walk.next() == ()


def test_old_jobs_are_not_looked_at_again(store: JobStore, spec: SegmentSpec) -> None:
    walk = EndedJobs(store.database)
    store.submit(spec)
    store.finish(start(store), JobState.SUCCEEDED, result=JobResult())
    with store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE jobs SET created_us = created_us - 3600000000")
    assert len(walk.next()) == 1
    with store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE jobs SET kind = 'rewritten'")
    assert walk.next() == ()
    store.submit(spec)
    store.finish(start(store), JobState.SUCCEEDED, result=JobResult())
    assert [job.kind for job in walk.next()] == ["segment"]


@pytest.mark.parametrize("waiting", [0, 3])
def test_what_waits_and_runs(store: JobStore, spec: SegmentSpec, waiting: int) -> None:
    assert active(store.database) == ()
    store.submit(spec, group="lab")
    start(store)
    for _ in range(waiting):
        store.submit(MeasureSpec(spec.images), group="other")
    found = {(one.kind, one.state): one for one in active(store.database)}
    assert found["segment", JobState.RUNNING].jobs == 1
    assert len(found) == (2 if waiting else 1)
    if waiting:
        assert found["measure", JobState.QUEUED].jobs == waiting
        assert found["measure", JobState.QUEUED].group == "other"
        assert found["measure", JobState.QUEUED].oldest > 0
