"""Claim: who is next, and nobody twice."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from noyau.domain.errors import LimitExceeded
from noyau.domain.image import ImageRef
from noyau.domain.jobs import EventKind, JobState, MeasureSpec, SegmentSpec
from noyau.jobs.settings import GroupLimits
from noyau.jobs.store import JobStore


def claim_all(store: JobStore, worker: str = "w") -> list[str]:
    """Ids in the order in which one worker gets them, each ended before the next."""
    order = []
    while (lease := store.claim(worker)) is not None:
        order.append(lease.job.id)
        store.finish(lease, JobState.SUCCEEDED)
    return order


def test_a_claimed_job_runs(store: JobStore, spec: SegmentSpec) -> None:
    job = store.submit(spec)
    lease = store.claim("w")
    assert lease is not None and lease.job == store.get(job.id)
    assert (lease.job.state, lease.job.attempts, lease.worker) == (JobState.RUNNING, 1, "w")
    assert lease.job.started is not None
    last = store.events_since(job.id)[-1]
    assert (last.kind, last.payload) == (EventKind.STATE, {"state": "RUNNING", "attempt": 1})
    assert store.claim("w") is None


def test_higher_priority_first_then_oldest(store: JobStore, spec: SegmentSpec) -> None:
    ids = {n: store.submit(spec, priority=p).id for n, p in enumerate([0, 5, 0, -1, 5])}
    assert claim_all(store) == [ids[n] for n in (1, 4, 0, 2, 3)]


def test_groups_take_turns_with_one_worker(store: JobStore, spec: SegmentSpec) -> None:
    big = [store.submit(spec, group="big").id for _ in range(4)]
    small = [store.submit(spec, group="small").id for _ in range(2)]
    assert claim_all(store) == [big[0], small[0], big[1], small[1], big[2], big[3]]


def test_the_group_with_fewer_running_jobs_comes_first(store: JobStore, spec: SegmentSpec) -> None:
    for _ in range(3):
        store.submit(spec, group="a")
    running = [store.claim("w") for _ in range(2)]
    store.submit(spec, group="b")
    store.submit(spec, group="b")
    claimed = [store.claim("w") for _ in range(2)]
    assert [lease.job.group for lease in running if lease] == ["a", "a"]
    assert [lease.job.group for lease in claimed if lease] == ["b", "b"]


def test_priority_counts_within_a_group_and_never_before_the_jobs_of_others(store: JobStore, spec: SegmentSpec) -> None:
    store.submit(spec, group="a")
    store.claim("w")
    calm = store.submit(spec, group="a")
    urgent = store.submit(spec, group="a", priority=1_000)
    other = store.submit(spec, group="b", priority=-1)
    claimed = [store.claim("w") for _ in range(3)]
    assert [lease.job.id for lease in claimed if lease] == [other.id, urgent.id, calm.id]


def test_a_flood_of_one_group_delays_the_job_of_another_by_one(store: JobStore, spec: SegmentSpec) -> None:
    for _ in range(50):
        store.submit(spec, group="flood", priority=1_000)
    store.claim("w")
    lone = store.submit(spec, group="lone")
    lease = store.claim("w")
    assert lease is not None and lease.job.id == lone.id


def test_a_group_may_have_limits_of_its_own(open_store: Callable[..., JobStore], spec: SegmentSpec) -> None:
    store = open_store(running_per_group=1, groups={"big": GroupLimits(running=2, queued=3), "free": GroupLimits()})
    for group in ("big", "big", "big", "small", "small", "free", "free", "free"):
        store.submit(spec, group=group)
    claimed = [store.claim("w") for _ in range(8)]
    assert Counter(lease.job.group for lease in claimed if lease) == {"big": 2, "small": 1, "free": 3}
    for _ in range(2):
        store.submit(spec, group="big")
    with pytest.raises(LimitExceeded, match="'big' has 3 waiting jobs"):
        store.submit(spec, group="big")


def test_a_limit_of_one_group_alone_leaves_the_others_free(
    open_store: Callable[..., JobStore], spec: SegmentSpec
) -> None:
    store = open_store(groups={"big": GroupLimits(running=1)})
    for group in ("big", "big", "other", "other"):
        store.submit(spec, group=group)
    claimed = [store.claim("w") for _ in range(4)]
    assert Counter(lease.job.group for lease in claimed if lease) == {"big": 1, "other": 2}


def test_the_quota_of_running_jobs_is_per_group(open_store: Callable[..., JobStore], spec: SegmentSpec) -> None:
    store = open_store(running_per_group=1)
    for group in ("a", "a", "b"):
        store.submit(spec, group=group, priority=1 if group == "a" else 0)
    first, second = store.claim("w"), store.claim("w")
    assert first is not None and second is not None
    assert (first.job.group, second.job.group) == ("a", "b")
    assert store.claim("w") is None
    store.finish(first, JobState.SUCCEEDED)
    third = store.claim("w")
    assert third is not None and third.job.group == "a"


def test_the_quota_of_running_jobs_holds_for_threads(open_store: Callable[..., JobStore], spec: SegmentSpec) -> None:
    store = open_store(running_per_group=3)
    for _ in range(20):
        store.submit(spec, group="a")
    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(lambda n: store.claim(f"w{n}"), range(16)))
    assert sum(lease is not None for lease in claimed) == 3


def test_a_worker_gets_only_kinds_that_it_can_run(store: JobStore, spec: SegmentSpec) -> None:
    store.submit(MeasureSpec((ImageRef("a"),)))
    assert store.claim("w", kinds=["segment"]) is None
    store.submit(spec)
    lease = store.claim("w", kinds=["segment"])
    assert lease is not None and isinstance(lease.job.spec, SegmentSpec)


def test_threads_never_get_the_same_job(store: JobStore, spec: SegmentSpec) -> None:
    ids = [store.submit(spec, group=str(n % 3)).id for n in range(60)]
    with ThreadPoolExecutor(8) as pool:
        per_thread = list(pool.map(lambda n: claim_all(store, f"w{n}"), range(8)))
    assert Counter(job for part in per_thread for job in part) == Counter(ids)


CLAIMER = """
import sys
from noyau.domain.jobs import JobState
from noyau.jobs.store import JobStore
with JobStore.open(sys.argv[1]) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    while (lease := store.claim(sys.argv[2])) is not None:
        print(lease.job.id, flush=True)
        store.finish(lease, JobState.SUCCEEDED)
"""


@pytest.mark.slow
def test_processes_never_get_the_same_job(database_url: str, store: JobStore, spec: SegmentSpec) -> None:
    ids = [store.submit(spec).id for _ in range(80)]
    command = [sys.executable, "-c", CLAIMER, database_url]
    workers = [
        subprocess.Popen([*command, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for n in range(4)
    ]
    for worker in workers:
        assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
    began = time.monotonic()
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    parts = [worker.communicate(timeout=60)[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 4
    assert Counter(job for part in parts for job in part) == Counter(ids)
    assert sum(bool(part) for part in parts) > 1, "only one process got jobs, so nothing was tried"
    assert time.monotonic() - began < 60
