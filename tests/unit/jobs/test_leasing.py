"""What the holder of a lease may do, and that nobody else can (fencing)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from noyau.domain.errors import ErrorKind, JobCancelled
from noyau.domain.jobs import EventKind, ImageResult, JobError, JobResult, JobState, SegmentSpec
from noyau.jobs.lease import Lease, LeaseLost
from noyau.jobs.recovering import Loss
from noyau.jobs.store import JobStore

RESULT = JobResult(
    images=(ImageResult("a", "l", "t", "o", "p", 5, 1.25),), nuclei=5, median_volume_um3=1.25, warnings=("w",)
)


def start(store: JobStore, spec: SegmentSpec, worker: str = "w") -> Lease:
    store.submit(spec)
    lease = store.claim(worker)
    assert lease is not None
    return lease


def every_write(store: JobStore, lease: Lease) -> dict[str, Callable[[], object]]:
    """Everything that a worker can do with its lease."""
    return {
        "heartbeat": lambda: store.heartbeat(lease),
        "look for cancel": lambda: store.cancel_requested(lease),
        "event": lambda: store.append_event(lease, EventKind.LOG, {"message": "stale"}),
        "mark": lambda: store.ledger(lease).mark("s", "stale"),
        "finish": lambda: store.finish(lease, JobState.SUCCEEDED, result=JobResult(nuclei=99)),
    }


def test_finish_stores_state_result_and_event_together(store: JobStore, spec: SegmentSpec) -> None:
    lease = start(store, spec)
    store.finish(lease, JobState.SUCCEEDED, result=RESULT)
    job = store.get(lease.job.id)
    assert (job.state, job.result, job.error) == (JobState.SUCCEEDED, RESULT, None)
    assert job.finished is not None and job.started is not None and job.finished >= job.started
    assert store.events_since(job.id)[-1].payload == {"state": "SUCCEEDED"}


def test_a_failure_keeps_cause_and_remedy(store: JobStore, spec: SegmentSpec) -> None:
    lease = start(store, spec)
    error = JobError(ErrorKind.DATA_LOSS.value, "Chunk 0/0 is damaged.", "Restore it.")
    store.finish(lease, JobState.FAILED, error=error)
    assert store.get(lease.job.id).error == error
    payload = store.events_since(lease.job.id)[-1].payload
    assert payload["error"] == {"kind": "DATA_LOSS", "cause": error.cause, "remedy": error.remedy}


def test_events_are_numbered_without_gaps_from_many_threads(store: JobStore, spec: SegmentSpec) -> None:
    lease = start(store, spec)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.append_event(lease, EventKind.METRIC, {"name": "n", "value": n}), range(40)))
    events = store.events_since(lease.job.id)
    assert [event.seq for event in events] == list(range(1, 43))
    assert {event.payload["value"] for event in events if event.kind is EventKind.METRIC} == set(range(40))


def test_events_are_read_from_any_number(store: JobStore, spec: SegmentSpec) -> None:
    lease = start(store, spec)
    for n in range(5):
        store.append_event(lease, EventKind.LOG, {"message": f"é{n}\x00"})
    assert [event.seq for event in store.events_since(lease.job.id, 3, 2)] == [3, 4]
    assert store.events_since(lease.job.id, 8) == ()
    assert store.events_since(lease.job.id, 7)[0].payload == {"message": "é4\x00"}


def test_the_ledger_remembers_units_for_the_next_worker(store: JobStore, spec: SegmentSpec) -> None:
    first = start(store, spec)
    unit = "s3://bucket/a.ome.zarr" + "/deep" * 100
    store.ledger(first).mark("predict", unit, {"sum": 3, "box": [1, 2]})
    store.ledger(first).mark("predict", "again", {"n": 1})
    store.ledger(first).mark("predict", "again", {"n": 2})
    store.ledger(first).mark("decode", unit)
    store.recover_worker("w", Loss.CRASH, "It died")
    second = store.claim("other")
    assert second is not None and second.job.id == first.job.id
    ledger = store.ledger(second)
    assert ledger.finished("predict") == {unit: {"sum": 3, "box": [1, 2]}, "again": {"n": 2}}
    assert ledger.finished("decode") == {unit: {}}
    assert ledger.finished("measure") == {}


def test_ledgers_of_two_jobs_are_apart(store: JobStore, spec: SegmentSpec) -> None:
    one, two = start(store, spec), start(store, spec)
    store.ledger(one).mark("s", "u")
    assert store.ledger(two).finished("s") == {}


def test_units_can_be_marked_from_many_threads(store: JobStore, spec: SegmentSpec) -> None:
    ledger = store.ledger(start(store, spec))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: ledger.mark("s", str(n % 20)), range(40)))
    assert set(ledger.finished("s")) == {str(n) for n in range(20)}


@pytest.mark.parametrize("action", ["heartbeat", "look for cancel", "event", "mark", "finish"])
def test_a_worker_whose_job_has_a_new_owner_can_do_nothing(store: JobStore, spec: SegmentSpec, action: str) -> None:
    stale = start(store, spec)
    store.recover_worker("w", Loss.CRASH, "It died")
    with pytest.raises(LeaseLost):
        every_write(store, stale)[action]()
    # Even the same worker needs the new token.
    fresh = store.claim("w")
    assert fresh is not None and fresh.fence > stale.fence
    before = store.events_since(stale.job.id)
    with pytest.raises(JobCancelled):
        every_write(store, stale)[action]()
    assert store.events_since(stale.job.id) == before
    assert store.ledger(fresh).finished("s") == {}
    store.finish(fresh, JobState.SUCCEEDED, result=RESULT)
    with pytest.raises(LeaseLost):
        every_write(store, stale)[action]()
    assert store.get(stale.job.id).result == RESULT


def test_a_finished_job_cannot_be_finished_again(store: JobStore, spec: SegmentSpec) -> None:
    lease = start(store, spec)
    store.finish(lease, JobState.SUCCEEDED)
    with pytest.raises(LeaseLost):
        store.finish(lease, JobState.FAILED)
    assert store.get(lease.job.id).state is JobState.SUCCEEDED
