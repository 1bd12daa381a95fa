"""The whole machinery with real worker processes: order, cancel, failures, fencing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from crash_harness import wait_until, with_python_path
from noyau.domain.jobs import EventKind, JobState
from noyau.jobs.config import WorkerConfig
from noyau.jobs.identity import ProcessIdentity
from noyau.jobs.settings import JobLimits, JobTimes
from noyau.jobs.store import JobStore
from noyau.jobs.supervisor import Supervisor
from noyau.jobs.watching import wait_until_final, watch
from toy_handlers import diary, toy_spec

HERE = Path(__file__).parent
StartWorkers = Callable[..., AbstractContextManager[Supervisor]]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/jobs.db"


@pytest.fixture
def store(url: str) -> Iterator[JobStore]:
    with JobStore.open(url) as store:
        yield store


@pytest.fixture
def start_workers(url: str, store: JobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StartWorkers:
    """Starts a supervisor in this process and waits until its workers have begun to look for jobs."""
    monkeypatch.setenv("PYTHONPATH", with_python_path(HERE))

    @contextmanager
    def start(workers: int = 1, times: JobTimes | None = None, **settings: object) -> Iterator[Supervisor]:
        config = WorkerConfig(
            url,
            str(tmp_path / "work"),
            "toy_handlers:build_handlers",
            {"folder": str(tmp_path), **settings},
            JobLimits(),
            times or JobTimes(),
        )
        with Supervisor(store, config, workers) as supervisor:
            yield supervisor

    return start


@pytest.mark.slow
def test_200_jobs_all_finish_in_order_of_priority(store: JobStore, start_workers: StartWorkers) -> None:
    jobs = [store.submit(toy_spec("nothing"), priority=n * 7 % 5) for n in range(200)]
    with start_workers(1):
        wait_until(lambda: store.count_by_state()[JobState.SUCCEEDED] == 200, 120, "not all jobs end")
    started = [store.get(job.id) for job in jobs]
    order = [job.id for job in sorted(started, key=lambda job: str(job.started))]
    expected = [job.id for _, job in sorted(enumerate(jobs), key=lambda item: (-item[1].priority, item[0]))]
    assert order == expected
    assert all(job.attempts == 1 for job in started)


@pytest.mark.parametrize("behaviour", ["stuck", "polite"])
def test_cancel_ends_a_running_job_within_two_seconds(
    store: JobStore, start_workers: StartWorkers, tmp_path: Path, behaviour: str
) -> None:
    with start_workers(1):
        job = store.submit(toy_spec(behaviour))
        wait_until(lambda: "begin" in diary(tmp_path, job.id), 30, "the job does not start")
        began = time.monotonic()
        store.request_cancel(job.id)
        ended = wait_until_final(store, job.id, 10)
        assert time.monotonic() - began < 2.0
        assert (ended.state, ended.error) == (JobState.CANCELLED, None)
        assert store.events_since(job.id)[-1].payload == {"state": "CANCELLED"}
        # The handler gets to tidy up, the scratch folder goes, and the next job finds a worker.
        wait_until(lambda: "cleanup" in diary(tmp_path, job.id), 30, "the handler was not asked to tidy up")
        wait_until(lambda: not (tmp_path / "work" / job.id).exists(), 10, "scratch is left behind")
        assert "end" not in diary(tmp_path, job.id)
        after = store.submit(toy_spec("nothing"))
        assert wait_until_final(store, after.id, 30).state is JobState.SUCCEEDED


def test_a_cancelled_polite_job_keeps_its_worker(store: JobStore, start_workers: StartWorkers, tmp_path: Path) -> None:
    with start_workers(1) as supervisor:
        job = store.submit(toy_spec("polite"))
        wait_until(lambda: "begin" in diary(tmp_path, job.id), 30, "the job does not start")
        store.request_cancel(job.id)
        wait_until_final(store, job.id, 10)
        assert [worker.restarts for worker in supervisor.status()] == [0], "warm models would be lost"


def test_failures_name_cause_and_remedy_and_keep_the_worker(
    store: JobStore, start_workers: StartWorkers, tmp_path: Path
) -> None:
    with start_workers(1) as supervisor:
        told = {}
        for behaviour in ("damaged", "surprise", "quits"):
            job = wait_until_final(store, store.submit(toy_spec(behaviour)).id, 30)
            assert job.state is JobState.FAILED and job.error is not None
            told[behaviour] = job.error
            wait_until(lambda job=job: "cleanup" in diary(tmp_path, job.id), 10, "no clean-up")  # type: ignore[misc]
        assert [worker.restarts for worker in supervisor.status()] == [0]
    assert (told["damaged"].kind, told["damaged"].cause, told["damaged"].remedy) == (
        "DATA_LOSS",
        "Chunk 7 is damaged.",
        "Restore it.",
    )
    assert told["surprise"].kind == "INTERNAL" and "ValueError" in told["surprise"].cause
    assert "hunter2" not in str(told["surprise"])
    assert "SystemExit" in told["quits"].cause


@pytest.mark.slow
def test_a_job_that_kills_its_worker_is_tried_three_times(store: JobStore, start_workers: StartWorkers) -> None:
    with start_workers(1) as supervisor:
        job = wait_until_final(store, store.submit(toy_spec("killer")).id, 60)
        assert job.state is JobState.FAILED and job.error is not None and job.attempts == 3
        assert job.error.cause.startswith("Its worker was killed (signal 9; possibly out of memory)")
        logs = [e.payload["message"] for e in store.events_since(job.id) if e.kind is EventKind.LOG]
        assert len(logs) == 2 and all("signal 9" in message for message in logs)
        after = store.submit(toy_spec("nothing"))
        assert wait_until_final(store, after.id, 30).state is JobState.SUCCEEDED
        assert supervisor.status()[0].restarts == 3


@pytest.mark.slow
def test_a_worker_that_stands_still_is_replaced(store: JobStore, start_workers: StartWorkers, tmp_path: Path) -> None:
    """Wherever it stopped, in the middle of a transaction too, which on SQLite locks out everybody else."""
    times = JobTimes(lease=1.5, renew=0.2, cancel_poll=0.1, recover_poll=0.2)
    with start_workers(2, times):
        job = store.submit(toy_spec("units", 60))
        wait_until(lambda: "marked 3" in diary(tmp_path, job.id), 30, "the job does not start")
        with store.database.reading() as connection:
            worker = connection.exec_driver_sql("SELECT worker FROM jobs").scalar_one()
        os.kill(ProcessIdentity.parse(worker).pid, signal.SIGSTOP)
        ended = wait_until_final(store, job.id, 60)
        assert (ended.state, ended.attempts) == (JobState.SUCCEEDED, 2)
        logs = [e.payload["message"] for e in store.events_since(job.id) if e.kind is EventKind.LOG]
        assert logs[0].startswith("Its worker stood still for longer than its lease;")
    story = diary(tmp_path, job.id)
    assert "TOGETHER" not in story
    assert sum(what.startswith("marked") for what in story) >= 59


@pytest.mark.slow
def test_native_code_that_blocks_the_heartbeat_keeps_its_job(store: JobStore, start_workers: StartWorkers) -> None:
    with start_workers(2, JobTimes(lease=1.5, renew=0.2, recover_poll=0.2)):
        ended = wait_until_final(store, store.submit(toy_spec("heavy")).id, 60)
    assert (ended.state, ended.attempts) == (JobState.SUCCEEDED, 1)


def test_a_watch_sees_every_event_once(store: JobStore, start_workers: StartWorkers) -> None:
    job = store.submit(toy_spec("units", 40))
    with start_workers(1):
        seen = list(watch(store, job.id))
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    assert tuple(seen) == store.events_since(job.id)
    stages = [e.payload["name"] for e in seen if e.kind is EventKind.STAGE]
    progress = [e.payload for e in seen if e.kind is EventKind.PROGRESS]
    assert stages == ["units"]
    assert progress[-1] == {"stage": "units", "done": 40, "total": 40, "unit": "unit"}
    assert list(watch(store, job.id, seen[-3].seq)) == seen[-3:]


def test_stop_with_grace_lets_a_short_job_end(store: JobStore, start_workers: StartWorkers, tmp_path: Path) -> None:
    with start_workers(1) as supervisor:
        job = store.submit(toy_spec("units", 50))
        waiting = store.submit(toy_spec("nothing"))
        wait_until(lambda: "marked 1" in diary(tmp_path, job.id), 30, "the job does not start")
        supervisor.stop(grace_seconds=20)
    assert store.get(job.id).state is JobState.SUCCEEDED
    assert store.get(waiting.id).state is JobState.QUEUED, "a draining worker claims nothing"


def test_workers_that_cannot_start_are_restarted_ever_more_slowly(url: str, store: JobStore, tmp_path: Path) -> None:
    config = WorkerConfig(url, str(tmp_path), "noyau.jobs.nowhere:build", {})
    job = store.submit(toy_spec("nothing"))
    with Supervisor(store, config, 1) as supervisor:
        wait_until(lambda: supervisor.status()[0].restarts >= 2, 60, "no restart")
        time.sleep(1.0)
        assert supervisor.status()[0].restarts <= 5
    assert store.get(job.id).state is JobState.QUEUED
