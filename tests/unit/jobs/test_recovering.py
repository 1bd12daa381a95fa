"""Cancel, lost workers, and what is left behind."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from noyau.domain.errors import FailedPrecondition
from noyau.domain.jobs import EventKind, JobState, SegmentSpec
from noyau.jobs.lease import Lease, LeaseLost
from noyau.jobs.recovering import Loss
from noyau.jobs.store import JobStore


def start(store: JobStore, spec: SegmentSpec, worker: str = "w", lease_seconds: float = 15.0) -> Lease:
    store.submit(spec)
    lease = store.claim(worker, lease_seconds=lease_seconds)
    assert lease is not None
    return lease


def test_a_waiting_job_is_cancelled_at_once(store: JobStore, spec: SegmentSpec) -> None:
    job = store.submit(spec)
    cancelled = store.request_cancel(job.id)
    assert (cancelled.state, cancelled.cancel_requested) == (JobState.CANCELLED, True)
    assert cancelled.finished is not None
    assert store.events_since(job.id)[-1].payload == {"state": "CANCELLED"}
    assert store.claim("w") is None
    assert store.claim_cleanup("w") is None, "it never started, so nothing is left"


def test_a_running_job_is_asked_to_stop(store: JobStore, spec: SegmentSpec) -> None:
    lease = start(store, spec)
    assert not store.heartbeat(lease) and not store.cancel_requested(lease)
    asked = store.request_cancel(lease.job.id)
    assert (asked.state, asked.cancel_requested) == (JobState.RUNNING, True)
    assert store.heartbeat(lease) and store.cancel_requested(lease)
    store.request_cancel(lease.job.id)
    logs = [event.payload for event in store.events_since(lease.job.id) if event.kind is EventKind.LOG]
    assert logs == [{"level": "info", "message": "Somebody asked to cancel the job."}]
    store.finish(lease, JobState.CANCELLED)
    assert store.get(lease.job.id).state is JobState.CANCELLED


def test_cancel_can_be_repeated_but_not_after_the_end(store: JobStore, spec: SegmentSpec) -> None:
    job = store.submit(spec)
    assert store.request_cancel(job.id) == store.request_cancel(job.id)
    assert len(store.events_since(job.id)) == 2
    lease = start(store, spec)
    store.request_cancel(lease.job.id)
    store.request_cancel(lease.job.id)
    store.finish(lease, JobState.SUCCEEDED)
    with pytest.raises(FailedPrecondition, match="SUCCEEDED"):
        store.request_cancel(lease.job.id)


def test_a_cancel_is_overdue_after_its_grace(store: JobStore, spec: SegmentSpec) -> None:
    lease = start(store, spec, "w7")
    assert store.overdue_cancels(0.0) == ()
    store.request_cancel(lease.job.id)
    time.sleep(0.01)
    assert store.overdue_cancels(60.0) == ()
    assert [(late.job_id, late.worker) for late in store.overdue_cancels(0.0)] == [(lease.job.id, "w7")]


def test_a_job_of_a_dead_worker_waits_again(store: JobStore, spec: SegmentSpec) -> None:
    lease = start(store, spec)
    other = start(store, spec, "living")
    found = store.recover_worker("w", Loss.CRASH, "Its worker was killed (signal 9)")
    assert [(job.job_id, job.state) for job in found] == [(lease.job.id, JobState.QUEUED)]
    assert store.get(other.job.id).state is JobState.RUNNING
    log, state = store.events_since(lease.job.id)[-2:]
    assert log.kind is EventKind.LOG and log.payload["message"].startswith("Its worker was killed (signal 9); ")
    assert state.payload == {"state": "QUEUED"}
    again = store.claim("w2")
    assert again is not None and (again.job.id, again.job.attempts) == (lease.job.id, 2)


def test_a_job_that_kills_its_workers_fails(open_store: Callable[..., JobStore], spec: SegmentSpec) -> None:
    store = open_store(max_crashes=2)
    job = store.submit(spec)
    for _ in range(2):
        assert store.claim("w") is not None
        store.recover_worker("w", Loss.CRASH, "Its worker was killed (signal 9)")
    failed = store.get(job.id)
    assert failed.state is JobState.FAILED and failed.error is not None
    assert "killed (signal 9)" in failed.error.cause and failed.error.remedy
    assert store.events_since(job.id)[-1].payload["error"]["cause"] == failed.error.cause
    left = store.claim_cleanup("w")
    assert left is not None and left.id == job.id


def test_progress_forgives_earlier_crashes(open_store: Callable[..., JobStore], spec: SegmentSpec) -> None:
    store = open_store(max_crashes=2)
    job = store.submit(spec)
    for n in range(6):
        lease = store.claim("w")
        assert lease is not None
        store.ledger(lease).mark("s", str(n))
        store.recover_worker("w", Loss.CRASH, "It died")
    assert store.get(job.id).state is JobState.QUEUED


def test_stops_of_the_service_count_apart(open_store: Callable[..., JobStore], spec: SegmentSpec) -> None:
    store = open_store(max_crashes=1, max_interruptions=3)
    job = store.submit(spec)
    states = []
    for _ in range(3):
        assert store.claim("w") is not None
        states += [found.state for found in store.recover_dead(lambda worker: worker == "w")]
    assert states == [JobState.QUEUED, JobState.QUEUED, JobState.FAILED]
    assert store.get(job.id).state is JobState.FAILED


def test_a_release_never_counts(open_store: Callable[..., JobStore], spec: SegmentSpec) -> None:
    store = open_store(max_crashes=1, max_interruptions=1)
    job = store.submit(spec)
    for _ in range(3):
        assert store.claim("w") is not None
        store.recover_worker("w", Loss.RELEASE, "The service was stopped")
    assert store.get(job.id).state is JobState.QUEUED


def test_only_an_ended_lease_is_recovered(store: JobStore, spec: SegmentSpec) -> None:
    long = start(store, spec, lease_seconds=60)
    assert store.recover_expired() == ()
    short = start(store, spec, lease_seconds=0.05)
    time.sleep(0.1)
    assert [job.job_id for job in store.recover_expired()] == [short.job.id]
    with pytest.raises(LeaseLost):
        store.heartbeat(short)
    assert not store.heartbeat(long)


def test_a_heartbeat_renews_even_a_late_lease(store: JobStore, spec: SegmentSpec) -> None:
    lease = start(store, spec, lease_seconds=0.05)
    time.sleep(0.1)
    store.heartbeat(lease, 60)
    assert store.recover_expired() == ()


def test_a_cancelled_job_of_a_dead_worker_does_not_run_again(store: JobStore, spec: SegmentSpec) -> None:
    lease = start(store, spec)
    store.request_cancel(lease.job.id)
    found = store.recover_worker("w", Loss.CRASH, "It died")
    assert [job.state for job in found] == [JobState.CANCELLED]
    assert store.claim("w") is None
    left = store.claim_cleanup("w")
    assert left is not None and left.id == lease.job.id


def test_leftovers_are_given_to_one_worker_until_they_are_removed(store: JobStore, spec: SegmentSpec) -> None:
    lease = start(store, spec)
    store.finish(lease, JobState.SUCCEEDED)
    assert store.claim_cleanup("w2") is None, "the worker that finished has the first try"
    store.cleaned(lease.job.id)
    dead = start(store, spec)
    store.request_cancel(dead.job.id)
    store.recover_worker("w", Loss.CRASH, "It died")
    left = store.claim_cleanup("w2", kinds=["segment"])
    assert left is not None and left.id == dead.job.id
    assert store.claim_cleanup("w3") is None
    assert store.leftovers() == 1, "taken is not removed"
    store.cleaned(dead.job.id)
    assert store.claim_cleanup("w3") is None
    assert store.leftovers() == 0


def test_cleaning_does_not_touch_a_running_job(store: JobStore, spec: SegmentSpec) -> None:
    lease = start(store, spec)
    store.cleaned(lease.job.id)
    assert not store.heartbeat(lease)
    assert store.recover_expired() == ()


def test_a_worker_that_somebody_vouches_for_keeps_its_job(store: JobStore, spec: SegmentSpec) -> None:
    silent, other = start(store, spec, "silent", 0.05), start(store, spec, "other", 0.05)
    soon = {late.worker: late.has_ended for late in store.late_leases(60)}
    assert set(soon) == {"silent", "other"}
    time.sleep(0.1)
    assert all(late.has_ended for late in store.late_leases(0))
    store.vouch("silent", 60)
    assert [late.worker for late in store.late_leases(1)] == ["other"]
    assert [job.job_id for job in store.recover_expired()] == [other.job.id]
    assert not store.heartbeat(silent)
