"""The loop of a worker, in this process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from noyau.domain.errors import Unavailable
from noyau.domain.jobs import JobResult, JobState, SegmentSpec
from noyau.jobs import worker
from noyau.jobs.config import WorkerConfig
from noyau.jobs.context import JobContext
from noyau.jobs.recovering import Loss
from noyau.jobs.store import JobStore


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/jobs.db"


class Last:
    """A handler that lets the worker end after so many jobs."""

    def __init__(self, jobs: int) -> None:
        self.draining = threading.Event()
        self.left = jobs
        self.cleaned: list[str] = []

    def __call__(self, spec: SegmentSpec, context: JobContext) -> JobResult:
        self.left -= 1
        if self.left == 0:
            self.draining.set()
        return JobResult()

    def cleanup(self, spec: SegmentSpec, context: JobContext) -> None:
        self.cleaned.append(context.job_id)


def work(store: JobStore, url: str, tmp_path: Path, handler: Last) -> None:
    config = WorkerConfig(url, str(tmp_path / "work"), "unused")
    worker.work(store, {"segment": handler}, config, handler.draining)


def test_it_works_until_told_to_stop(store: JobStore, database_url: str, tmp_path: Path, spec: SegmentSpec) -> None:
    jobs = [store.submit(spec) for _ in range(3)]
    work(store, database_url, tmp_path, Last(2))
    states = [store.get(job.id).state for job in jobs]
    assert states == [JobState.SUCCEEDED, JobState.SUCCEEDED, JobState.QUEUED]


def test_leftovers_are_removed_even_while_jobs_wait(
    store: JobStore, database_url: str, tmp_path: Path, spec: SegmentSpec
) -> None:
    killed = store.submit(spec)
    assert store.claim("dead") is not None
    store.request_cancel(killed.id)
    store.recover_worker("dead", Loss.CRASH, "It died")
    scratch = tmp_path / "work" / killed.id
    scratch.mkdir(parents=True)
    for _ in range(2):
        store.submit(spec)
    handler = Last(1)
    work(store, database_url, tmp_path, handler)
    assert handler.cleaned == [killed.id] and not scratch.exists()


def test_a_claim_whose_answer_got_lost_is_given_back(
    store: JobStore, database_url: str, tmp_path: Path, spec: SegmentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker lives and its supervisor vouches for it, so nobody else would ever take the job from it."""
    claim, tries = store.claim, []

    def claim_and_lose_the_answer(*args: Any, **more: Any) -> Any:
        tries.append(1)
        found = claim(*args, **more)
        if len(tries) == 1:
            raise Unavailable("The connection broke.")
        return found

    monkeypatch.setattr(store, "claim", claim_and_lose_the_answer)
    monkeypatch.setattr(worker, "_UNAVAILABLE_PAUSE_SECONDS", 0.01)
    job = store.submit(spec)
    work(store, database_url, tmp_path, Last(1))
    ended = store.get(job.id)
    assert (ended.state, ended.attempts) == (JobState.SUCCEEDED, 2)
