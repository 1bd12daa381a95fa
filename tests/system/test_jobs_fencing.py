"""Two services on one PostgreSQL, one of them paused: it loses its job and can write nothing when it wakes."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from crash_harness import ServerProcess, wait_until
from noyau.domain.jobs import EventKind, JobState
from noyau.jobs.store import JobStore
from noyau.jobs.watching import wait_until_final
from toy_handlers import diary, toy_spec

HERE = Path(__file__).parent
TIMES = {"lease": 1.5, "renew": 0.2, "cancel_poll": 0.1, "recover_poll": 0.2}


def toy_server(url: str, folder: Path, name: str) -> ServerProcess:
    command = [sys.executable, str(HERE / "toy_server.py"), url, str(folder), "1", json.dumps(TIMES)]
    return ServerProcess(command, "ready", folder / f"{name}.log", python_path=HERE)


@pytest.mark.slow
@pytest.mark.postgres
def test_a_paused_service_cannot_write_when_it_wakes(postgres_url: str, tmp_path: Path) -> None:
    with JobStore.open(postgres_url) as store, toy_server(postgres_url, tmp_path, "first") as first:
        job = store.submit(toy_spec("units", 100))
        wait_until(lambda: "marked 3" in diary(tmp_path, job.id), 30, "the job does not start")
        stale = first.workers()[0]
        paused = [first.pid, stale]
        for pid in paused:
            os.kill(pid, signal.SIGSTOP)
        try:
            with toy_server(postgres_url, tmp_path, "second"):
                ended = wait_until_final(store, job.id, 90)
            events = store.events_since(job.id)
        finally:
            for pid in paused:
                os.kill(pid, signal.SIGCONT)
        assert (ended.state, ended.attempts) == (JobState.SUCCEEDED, 2)
        wait_until(lambda: first.workers() not in ([stale], []), 20, "the stale worker goes on")
        assert store.events_since(job.id) == events and store.get(job.id) == ended
    logs = [event.payload["message"] for event in events if event.kind is EventKind.LOG]
    assert logs[0].startswith("Its worker was not heard of until the lease ended;")
    check_that_nothing_was_recorded_twice(tmp_path / f"{job.id}.diary", stale)


def check_that_nothing_was_recorded_twice(path: Path, stale: int) -> None:
    lines = path.read_text().splitlines()
    taken = next(n for n, line in enumerate(lines) if n and line.startswith("begin"))
    late = [line.split()[1] for line in lines[taken:] if line.startswith("marked") and f"pid={stale} " in line]
    again = {line.split()[1] for line in lines[taken:] if line.startswith("start") and f"pid={stale} " not in line}
    # Paused between a record and its line in the diary, it writes the line when it wakes; nobody does that unit again.
    assert len(late) <= 1 and again.isdisjoint(late)
    marked = [line.partition(" pid=")[0] for line in lines if line.startswith("marked")]
    assert len(marked) == len(set(marked))
