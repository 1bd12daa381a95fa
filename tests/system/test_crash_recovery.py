"""kill -9 at any moment: no job lost, none run twice, no finished unit done again."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest
from crash_harness import ServerProcess, kill_at_random, wait_until
from noyau.domain.jobs import EventKind, JobState
from noyau.jobs.listing import JobFilter
from noyau.jobs.store import JobStore
from toy_handlers import diary, toy_spec

HERE = Path(__file__).parent
FINAL = tuple(state for state in JobState if state.is_final)


def toy_server(url: str, folder: Path, workers: int) -> ServerProcess:
    command = [sys.executable, str(HERE / "toy_server.py"), url, str(folder), str(workers)]
    return ServerProcess(command, "ready", folder / "log", python_path=HERE)


def check_story(folder: Path, job_id: str, units: int) -> None:
    """The diary of one job: every unit done, none started after it was on record, never two workers at once."""
    story = diary(folder, job_id)
    assert "TOGETHER" not in story
    assert story.count("end") >= 1
    for number in range(units):
        assert (folder / job_id / str(number)).read_text() == f"unit {number}"
        last_start = max(i for i, what in enumerate(story) if what == f"start {number}")
        if f"marked {number}" in story:
            assert story.index(f"marked {number}") > last_start, f"unit {number} was done again"


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_25_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    kill_and_check(f"sqlite:///{tmp_path}/jobs.db", tmp_path, kills=25, units=120)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.timeout(280)
def test_kills_lose_and_double_nothing_on_postgresql(postgres_url: str, tmp_path: Path) -> None:
    kill_and_check(postgres_url, tmp_path, kills=8, units=60)


def kill_and_check(url: str, tmp_path: Path, kills: int, units: int) -> None:
    """Six jobs or more, two workers, and kills of the server and its workers at random moments."""
    with JobStore.open(url) as store, toy_server(url, tmp_path, workers=2) as server:
        ids = [store.submit(toy_spec("units", units), idempotency_key=str(n)).id for n in range(6)]

        def all_ended() -> bool:
            return len(store.list(JobFilter(states=FINAL)).jobs) == len(ids)

        def more_work() -> bool:
            # However fast the machine, every kill finds work to interrupt.
            if all_ended():
                ids.append(store.submit(toy_spec("units", units), idempotency_key=str(len(ids))).id)
            return False

        def works() -> bool:
            return store.count_by_state()[JobState.RUNNING] > 0

        done = kill_at_random(server, kills=kills, seed=20261122, pause=(0.1, 1.3), until=more_work, awake=works)
        wait_until(all_ended, 120, f"jobs do not end after {done} kills")
        assert done == kills
        assert len(store.list().jobs) == len(ids)
        for job_id in ids:
            job = store.get(job_id)
            assert (job.state, job.error) == (JobState.SUCCEEDED, None)
            assert job.result is not None and job.result.nuclei == units
            check_story(tmp_path, job_id, units)
            check_events(store, job_id)
        assert sum(store.get(job_id).attempts for job_id in ids) > len(ids), "no kill hit a running job"
        # Submitting again with the keys makes nothing new, and scratch is gone.
        assert store.submit(toy_spec("units", units), idempotency_key="0").id == ids[0]
        wait_until(lambda: not list((tmp_path / "work").iterdir()), 10, "scratch is left behind")


def check_events(store: JobStore, job_id: str) -> None:
    """Numbered without gaps, times in order, exactly one end, and it is the last."""
    events = store.events_since(job_id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    states = [event.payload["state"] for event in events if event.kind is EventKind.STATE]
    assert Counter(states)["SUCCEEDED"] == 1 and events[-1].payload.get("state") == "SUCCEEDED"
    # Between two starts the job always went back to the queue.
    assert Counter(states)["QUEUED"] == Counter(states)["RUNNING"] == store.get(job_id).attempts


def test_a_restarted_service_takes_its_jobs_back_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    with JobStore.open(url) as store, toy_server(url, tmp_path, workers=1) as server:
        job = store.submit(toy_spec("units", 300))
        wait_until(lambda: "marked 3" in diary(tmp_path, job.id), 30, "the job does not start")
        server.kill()
        server.start()
        wait_until(lambda: store.get(job.id).attempts == 2, 60, "the job is not resumed")
        # Not because its lease ran out: a dead predecessor on this host is seen without waiting for that.
        messages = [event.payload["message"] for event in store.events_since(job.id) if event.kind is EventKind.LOG]
        assert any(message.startswith("The service that ran it stopped;") for message in messages)


def test_workers_die_with_their_server(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    with JobStore.open(url) as store, toy_server(url, tmp_path, workers=2) as server:
        job = store.submit(toy_spec("stuck"))
        wait_until(lambda: store.get(job.id).state is JobState.RUNNING, 30, "the job does not start")
        workers = server.workers()
        assert len(workers) == 2
        server.kill()
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 3, "workers outlive the server")


def test_sigterm_puts_running_jobs_back_and_a_restart_resumes_them(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    units = 150
    with JobStore.open(url) as store, toy_server(url, tmp_path, workers=1) as server:
        job = store.submit(toy_spec("units", units))
        wait_until(lambda: "marked 5" in diary(tmp_path, job.id), 30, "the job does not start")
        assert server.terminate() == 0
        assert store.get(job.id).state is JobState.QUEUED
        assert (tmp_path / "work" / job.id).is_dir(), "the scratch folder is kept for the next run"
        server.start()
        wait_until(lambda: store.get(job.id).state.is_final, 60, "the job does not end")
        assert store.get(job.id).state is JobState.SUCCEEDED
        check_story(tmp_path, job.id, units)
