"""Ended jobs are counted once each, with where their time went, whatever happened to their workers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from noyau.domain.errors import ErrorKind
from noyau.domain.jobs import EventKind, JobError, JobResult, JobState, MeasureSpec, SegmentSpec
from noyau.jobs.ended import EndedJob, active
from noyau.jobs.lease import Lease
from noyau.jobs.recovering import Loss
from noyau.jobs.store import JobStore
from noyau.jobs.tallies import Amount, Tallies


def start(store: JobStore, worker: str = "w") -> Lease:
    lease = store.claim(worker)
    assert lease is not None
    return lease


class Told:
    """Keeps what is counted, in order."""

    def __init__(self, store: JobStore) -> None:
        self.jobs: list[EndedJob] = []
        self.tallies = Tallies(store.database, self.count)

    def count(self, job: EndedJob) -> list[Amount]:
        self.jobs.append(job)
        return [Amount("ended", (job.kind,), 1), Amount("nuclei", (), job.nuclei)]

    def next(self, limit: int = 200) -> list[EndedJob]:
        self.jobs = []
        self.tallies.add_ended(limit)
        return self.jobs


def test_a_job_whose_worker_was_killed_is_counted_once_with_all_its_time(store: JobStore, spec: SegmentSpec) -> None:
    store.submit(spec, group="lab", owner="ada")
    told = Told(store)
    lease = start(store)
    store.append_event(lease, EventKind.STAGE, {"name": "predict"})
    store.append_event(lease, EventKind.METRIC, {"name": "use/step/read", "value": 2.0})
    assert told.next() == []
    store.recover_worker("w", Loss.CRASH, "Its worker was killed")
    lease = start(store, "other")
    for name in ("predict", "write"):
        store.append_event(lease, EventKind.STAGE, {"name": name})
    for voxels in (10, 1000):
        store.append_event(lease, EventKind.METRIC, {"name": "voxels", "value": voxels})
    store.append_event(lease, EventKind.METRIC, {"name": "use/step/read", "value": 0.5})
    store.append_event(lease, EventKind.METRIC, {"name": "nuclei", "value": 3})
    store.finish(lease, JobState.SUCCEEDED, result=JobResult(nuclei=7))
    (job,) = told.next()
    assert (job.kind, job.state, job.group, job.owner, job.cause) == ("segment", JobState.SUCCEEDED, "lab", "ada", "")
    # Voxels of both attempts are the same voxels; time that was used twice was used twice.
    assert (job.nuclei, job.voxels, job.attempts, job.used) == (7, 1000, 2, (("step/read", 2.5),))
    assert [name for name, _ in job.stages] == ["predict", "predict", "write"]
    assert job.waited is not None
    assert job.ran > 0
    # Stages lie within the time with a worker.
    assert sum(seconds for _, seconds in job.stages) <= job.ran
    assert told.next() == []
    # Another coordinator, or this one after a restart, has the same sums and counts nothing again.
    assert Told(store).next() == []
    assert Told(store).tallies.read() == (Amount("ended", ("segment",), 1), Amount("nuclei", (), 7))


def test_failures_tell_their_cause_and_jobs_that_never_ran_no_time(store: JobStore, spec: SegmentSpec) -> None:
    store.submit(spec)
    cancelled = store.submit(spec)
    store.request_cancel(cancelled.id)
    store.finish(start(store), JobState.FAILED, error=JobError("NOT_FOUND", "There is none.", ""))
    failed, never = Told(store).next()
    assert ErrorKind(failed.cause) is ErrorKind.NOT_FOUND
    assert (never.state, never.waited, never.ran, never.stages) == (JobState.CANCELLED, None, 0.0, ())


def test_a_long_job_holds_up_nobody_and_is_counted_in_the_end(store: JobStore, spec: SegmentSpec) -> None:
    told = Told(store)
    store.submit(spec)
    long = start(store)
    for _ in range(5):
        store.submit(spec)
        store.finish(start(store, "w2"), JobState.SUCCEEDED, result=JobResult())
    assert [len(told.next(limit=2)) for _ in range(4)] == [2, 2, 1, 0]
    store.finish(long, JobState.SUCCEEDED, result=JobResult(nuclei=1))
    assert [job.nuclei for job in told.next()] == [1]
    assert told.next() == []


def test_coordinators_that_count_at_once_count_every_job_once(store: JobStore, spec: SegmentSpec) -> None:
    for _ in range(30):
        store.submit(spec)
        store.finish(start(store), JobState.SUCCEEDED, result=JobResult(nuclei=1))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: Told(store).next(limit=7), range(12)))
    assert Told(store).tallies.read() == (Amount("ended", ("segment",), 30), Amount("nuclei", (), 30))


def test_a_count_that_fails_leaves_its_jobs_for_the_next_time(store: JobStore, spec: SegmentSpec) -> None:
    def explode(job: EndedJob) -> list[Amount]:
        raise RuntimeError("boom")

    store.submit(spec)
    store.finish(start(store), JobState.SUCCEEDED, result=JobResult())
    with pytest.raises(RuntimeError, match="boom"):
        Tallies(store.database, explode).add_ended()
    assert len(Told(store).next()) == 1


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
