"""One job in one process: states, the order of finish and clean-up, and losing the lease."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from noyau.domain.errors import InvalidInput, JobCancelled, Unavailable
from noyau.domain.jobs import JobResult, JobState, SegmentSpec
from noyau.jobs.context import Handler, JobContext
from noyau.jobs.lease import Lease
from noyau.jobs.recovering import Loss
from noyau.jobs.runner import JobRunner
from noyau.jobs.settings import JobTimes
from noyau.jobs.store import JobStore

TIMES = JobTimes(lease=1.0, renew=0.1, cancel_poll=0.02)


class Stopped(BaseException):
    """Stands for the end of the worker process."""


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """One database is enough here: the store has its own tests on both."""
    return f"sqlite:///{tmp_path}/jobs.db"


@pytest.fixture
def lease(store: JobStore, spec: SegmentSpec) -> Lease:
    store.submit(spec)
    lease = store.claim("w", lease_seconds=TIMES.lease)
    assert lease is not None
    return lease


@pytest.fixture
def run(store: JobStore, lease: Lease, tmp_path: Path) -> Callable[[Handler], None]:
    """Runs the job to its end; losing the lease, which would end a worker process, fails the test."""
    lost: list[str] = []

    def run_one(handler: Handler) -> None:
        JobRunner(store, tmp_path / "work", TIMES, lambda: lost.append(threading.current_thread().name)).run(
            lease, handler
        )
        assert lost == []

    return run_one


class Recorder:
    """A handler that does what it is told and remembers its clean-up."""

    def __init__(self, act: Callable[[JobContext], Any], store: JobStore) -> None:
        self._act = act
        self._store = store
        self.cleaned_in: list[JobState] = []

    def __call__(self, spec: SegmentSpec, context: JobContext) -> JobResult:
        self._act(context)
        return JobResult(nuclei=2)

    def cleanup(self, spec: SegmentSpec, context: JobContext) -> None:
        assert context.workdir.exists(), "scratch goes last"
        self.cleaned_in.append(self._store.get(context.job_id).state)


def fail(error: BaseException) -> Callable[[JobContext], Any]:
    def act(context: JobContext) -> None:
        (context.workdir / "scratch").write_text("x")
        raise error

    return act


def test_success(store: JobStore, lease: Lease, run: Callable[[Handler], None], tmp_path: Path) -> None:
    def act(context: JobContext) -> None:
        assert context.job_id == lease.job.id and context.workdir.is_dir()
        context.reporter.stage("s")
        context.reporter.progress(1, 2, "tile")
        context.reporter.progress(2, 2, "tile")
        context.ledger.mark("s", "u", {"n": 1})
        assert context.ledger.finished("s") == {"u": {"n": 1}}

    handler = Recorder(act, store)
    run(handler)
    job = store.get(lease.job.id)
    assert (job.state, job.result) == (JobState.SUCCEEDED, JobResult(nuclei=2))
    assert handler.cleaned_in == [], "what a successful job wrote is its result"
    assert not (tmp_path / "work" / job.id).exists()
    assert [e.payload.get("done") for e in store.events_since(job.id)][-2:] == [2, None]
    with store.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT cleanup FROM jobs").scalar() == 0


@pytest.mark.parametrize(
    ("error", "state", "kind"),
    [
        (JobCancelled("stop"), JobState.CANCELLED, None),
        (InvalidInput("Bad.", "Mend it."), JobState.FAILED, "INVALID_ARGUMENT"),
        (Unavailable("S3 is away."), JobState.FAILED, "UNAVAILABLE"),
        (MemoryError(), JobState.FAILED, "RESOURCE_EXHAUSTED"),
        (ZeroDivisionError(), JobState.FAILED, "INTERNAL"),
        (SystemExit(1), JobState.FAILED, "INTERNAL"),
    ],
)
def test_failures_are_recorded_before_anything_is_removed(
    store: JobStore,
    lease: Lease,
    run: Callable[[Handler], None],
    tmp_path: Path,
    error: BaseException,
    state: JobState,
    kind: str | None,
) -> None:
    handler = Recorder(fail(error), store)
    run(handler)
    job = store.get(lease.job.id)
    assert job.state is state
    assert (job.error.kind if job.error else None) == kind
    assert handler.cleaned_in == [state]
    assert not (tmp_path / "work" / job.id).exists()


def test_a_cancel_reaches_the_handler_through_check(
    store: JobStore, lease: Lease, run: Callable[[Handler], None]
) -> None:
    def act(context: JobContext) -> None:
        store.request_cancel(context.job_id)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            context.reporter.check()
            time.sleep(0.01)

    run(Recorder(act, store))
    assert store.get(lease.job.id).state is JobState.CANCELLED


def test_the_heartbeat_keeps_the_lease_of_a_silent_handler(
    store: JobStore, lease: Lease, run: Callable[[Handler], None]
) -> None:
    run(Recorder(lambda context: time.sleep(2 * TIMES.lease) or store.recover_expired(), store))
    job = store.get(lease.job.id)
    assert (job.state, job.attempts) == (JobState.SUCCEEDED, 1)


@pytest.mark.parametrize("use", ["mark", "stage", "return"])
def test_a_lost_lease_ends_the_process_and_not_the_handler(
    store: JobStore, lease: Lease, tmp_path: Path, use: str
) -> None:
    ends = threading.Event()
    seen: list[BaseException] = []

    def end() -> None:
        ends.set()
        if threading.current_thread() is threading.main_thread():
            raise Stopped

    def act(context: JobContext) -> None:
        store.recover_worker("w", Loss.INTERRUPTION, "It was lost")
        try:
            if use == "mark":
                context.ledger.mark("s", "u")
            elif use == "stage":
                context.reporter.stage("s")
        except Exception as error:
            seen.append(error)
            raise

    # Without a heartbeat that could be faster.
    slow = JobTimes(lease=60, renew=60, cancel_poll=60)
    handler = Recorder(act, store)
    runner = JobRunner(store, tmp_path / "work", slow, end)
    with pytest.raises(Stopped):
        runner.run(lease, handler)
    assert ends.is_set()
    assert seen == [], "a handler that sees the loss would tidy up what the next worker needs"
    assert handler.cleaned_in == []
    assert (tmp_path / "work" / lease.job.id).is_dir()
    assert store.get(lease.job.id).state is JobState.QUEUED


def test_the_heartbeat_hears_of_a_lost_lease(store: JobStore, lease: Lease, tmp_path: Path) -> None:
    heard = threading.Event()

    def act(context: JobContext) -> None:
        store.recover_worker("w", Loss.INTERRUPTION, "It was lost")
        assert heard.wait(5)

    JobRunner(store, tmp_path / "work", TIMES, heard.set).run(lease, Recorder(act, store))
    assert store.get(lease.job.id).state is JobState.QUEUED


def test_a_clean_up_that_fails_is_left_for_later(
    store: JobStore, lease: Lease, run: Callable[[Handler], None], caplog: pytest.LogCaptureFixture
) -> None:
    class Clumsy(Recorder):
        def cleanup(self, spec: SegmentSpec, context: JobContext) -> None:
            raise OSError("busy")

    run(Clumsy(fail(InvalidInput("Bad.")), store))
    assert store.get(lease.job.id).state is JobState.FAILED
    assert "could not be removed yet" in caplog.text
    with store.database.writing() as connection:
        assert connection.exec_driver_sql("UPDATE jobs SET lease_until_us = 1 WHERE cleanup").rowcount == 1
    left = store.claim_cleanup("other")
    assert left is not None and left.id == lease.job.id


def test_a_finish_whose_answer_got_lost_is_no_failure(
    store: JobStore, lease: Lease, run: Callable[[Handler], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = store.finish
    tries = []

    def finish_and_lose_the_answer(*args: Any, **more: Any) -> None:
        tries.append(1)
        finish(*args, **more)
        if len(tries) == 1:
            raise Unavailable("The connection broke.")

    monkeypatch.setattr(store, "finish", finish_and_lose_the_answer)
    run(Recorder(lambda context: None, store))
    assert len(tries) == 2
    assert store.get(lease.job.id).state is JobState.SUCCEEDED


def test_a_database_that_is_away_for_a_moment_is_waited_for(
    store: JobStore, lease: Lease, run: Callable[[Handler], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    append = store.append_event
    tries = []

    def append_at_second_try(*args: Any) -> int:
        tries.append(1)
        if len(tries) == 1:
            raise Unavailable("The database restarts.")
        return append(*args)

    monkeypatch.setattr(store, "append_event", append_at_second_try)
    run(Recorder(lambda context: context.reporter.stage("s"), store))
    assert store.get(lease.job.id).state is JobState.SUCCEEDED
    assert [e.payload.get("name") for e in store.events_since(lease.job.id)].count("s") == 1
