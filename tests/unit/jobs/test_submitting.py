"""Submit and Get: what went in comes out, and once per idempotency key."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from noyau.domain.errors import AlreadyExists, InvalidInput, LimitExceeded, NotFound
from noyau.domain.jobs import JobState, SegmentSpec
from noyau.jobs.store import JobStore


def test_a_submitted_job_is_read_back_as_it_was_given(store: JobStore, spec: SegmentSpec) -> None:
    given = store.submit(spec, owner="ada", group="lab", priority=3, idempotency_key="k1")
    job = store.get(given.id)
    assert job == given
    assert (job.spec, job.state, job.owner, job.group, job.priority) == (spec, JobState.QUEUED, "ada", "lab", 3)
    assert (job.idempotency_key, job.attempts, job.started, job.result) == ("k1", 0, None, None)
    assert job.created is not None and abs(datetime.now(UTC) - job.created) < timedelta(minutes=1)


def test_an_unknown_job_is_named(store: JobStore) -> None:
    with pytest.raises(NotFound, match="'nope'"):
        store.get("nope")
    with pytest.raises(NotFound, match="'nope'"):
        store.events_since("nope")
    with pytest.raises(NotFound, match="'nope'"):
        store.request_cancel("nope")


def test_the_same_key_and_spec_give_the_same_job(store: JobStore, spec: SegmentSpec) -> None:
    first = store.submit(spec, owner="ada", idempotency_key="k")
    assert store.submit(spec, owner="ada", idempotency_key="k").id == first.id
    assert store.submit(spec, owner="bob", idempotency_key="k").id != first.id
    assert store.submit(spec, owner="ada").id != store.submit(spec, owner="ada").id


def test_the_same_key_gives_the_same_job_after_it_has_ended(store: JobStore, spec: SegmentSpec) -> None:
    first = store.submit(spec, owner="ada", idempotency_key="k")
    store.request_cancel(first.id)
    assert store.submit(spec, owner="ada", idempotency_key="k").state is JobState.CANCELLED


def test_the_same_key_for_another_spec_is_refused(store: JobStore, spec: SegmentSpec) -> None:
    first = store.submit(spec, idempotency_key="k")
    with pytest.raises(AlreadyExists, match=first.id):
        store.submit(replace(spec, labels="other"), idempotency_key="k")
    assert len(store.list().jobs) == 1


def test_one_key_at_once_from_many_threads_makes_one_job(store: JobStore, spec: SegmentSpec) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: store.submit(spec, idempotency_key="k").id, range(24)))
    assert len(ids) == 1
    assert len(store.list().jobs) == 1


@pytest.mark.parametrize("bad", ["x" * 201, "nul\x00", "line\nbreak", "\ud800"])
def test_names_that_a_database_cannot_hold_are_refused(store: JobStore, spec: SegmentSpec, bad: str) -> None:
    for what in ("owner", "group", "idempotency_key"):
        with pytest.raises(InvalidInput, match=what.replace("_", " ")):
            store.submit(spec, **{what: bad})
    assert store.list().jobs == ()


def test_a_priority_out_of_range_is_refused(store: JobStore, spec: SegmentSpec) -> None:
    with pytest.raises(InvalidInput, match="9999999999"):
        store.submit(spec, priority=9999999999)


def test_the_quota_of_waiting_jobs_is_per_group(open_store: Callable[..., JobStore], spec: SegmentSpec) -> None:
    store = open_store(queued_per_group=2)
    kept = [store.submit(spec, group="a", idempotency_key=str(i)) for i in range(2)]
    with pytest.raises(LimitExceeded, match="'a'"):
        store.submit(spec, group="a")
    store.submit(spec, group="b")
    # Asking again for a job that exists is no new job.
    assert store.submit(spec, group="a", idempotency_key="0").id == kept[0].id
    assert store.claim("w") is not None
    store.submit(spec, group="a")


def test_the_quota_of_waiting_jobs_holds_for_threads(open_store: Callable[..., JobStore], spec: SegmentSpec) -> None:
    store = open_store(queued_per_group=5)

    def try_submit(_: int) -> bool:
        try:
            store.submit(spec, group="a")
        except LimitExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(try_submit, range(24))) == 5
