"""Figures of the job machinery: `python tests/system/measure_jobs.py [--postgres]`. Not a test."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from noyau.domain.jobs import EventKind, JobState
from noyau.jobs.config import WorkerConfig
from noyau.jobs.settings import JobLimits, JobTimes
from noyau.jobs.store import JobStore
from noyau.jobs.supervisor import Supervisor
from noyau.jobs.watching import wait_until_final
from toy_handlers import toy_spec

HERE = Path(__file__).parent


@contextmanager
def database(folder: Path) -> Iterator[str]:
    """URL of an empty database."""
    if "--postgres" not in sys.argv:
        yield f"sqlite:///{folder}/jobs.db"
        return
    import pgserver

    server = pgserver.get_server(folder / "postgres", cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()


def rate(count: int, act: Callable[[], object]) -> float:
    """How often per second `act`, which does `count` things, does one."""
    began = time.perf_counter()
    act()
    return round(count / (time.perf_counter() - began), 1)


def store_rates(store: JobStore, count: int = 300) -> dict[str, float]:
    """Operations per second, each its own durable transaction."""
    spec = toy_spec("nothing")
    found = {"submit/s": rate(count, lambda: [store.submit(spec, group=str(n % 4)) for n in range(count)])}
    leases = []
    found["claim/s"] = rate(count, lambda: leases.extend(store.claim("w") for _ in range(count)))
    held = [lease for lease in leases if lease is not None]
    found["event/s"] = rate(count, lambda: [store.append_event(held[0], EventKind.LOG, {}) for _ in range(count)])
    ledger = store.ledger(held[0])
    found["unit/s"] = rate(count, lambda: [ledger.mark("s", str(n)) for n in range(count)])
    found["heartbeat/s"] = rate(count, lambda: [store.heartbeat(held[0]) for _ in range(count)])
    found["get/s"] = rate(count, lambda: [store.get(held[0].job.id) for _ in range(count)])
    found["finish/s"] = rate(count, lambda: [store.finish(lease, JobState.SUCCEEDED) for lease in held])
    for n in range(count):
        store.submit(spec, group=str(n % 4))
    with ThreadPoolExecutor(8) as pool:
        found["claim/s by 8 threads"] = rate(count, lambda: list(pool.map(lambda _: store.claim("w"), range(count))))
    return found


def long_queue(store: JobStore, count: int = 20_000) -> dict[str, float]:
    """Milliseconds of one claim from a long queue."""
    job = store.submit(toy_spec("nothing"))
    with store.database.writing() as connection:
        columns = "kind, spec, state, owner, group_name, priority, created_us, attempts, crashes, interruptions, fence"
        columns += ", last_seq, cleanup"
        pick = f"SELECT 'long-' || n, {columns} FROM jobs, series WHERE id = '{job.id}'"
        series = f"WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {count})"
        body = f"{series} {pick}" if store.database.is_sqlite else f"({series} {pick})"
        connection.exec_driver_sql(f"INSERT INTO jobs (id, {columns}) {body}")
    times = []
    for _ in range(20):
        began = time.perf_counter()
        store.claim("w")
        times.append(time.perf_counter() - began)
    return {f"claim of {count} waiting, ms": round(1000 * statistics.median(times), 1)}


def worker_figures(url: str, folder: Path) -> dict[str, float]:
    """Jobs per second through one worker process, and seconds from the cancel to the final state."""
    found: dict[str, float] = {}
    config = WorkerConfig(
        url, str(folder / "work"), "toy_handlers:build_handlers", {"folder": str(folder)}, JobLimits(), JobTimes()
    )
    with JobStore.open(url) as store:
        with store.database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM jobs")
        with Supervisor(store, config, 1):
            wait_until_final(store, store.submit(toy_spec("nothing")).id, 60)
            ids = [store.submit(toy_spec("nothing")).id for _ in range(200)]
            found["empty jobs/s, 1 worker"] = rate(200, lambda: wait_until_final(store, ids[-1], 120))
            for behaviour in ("polite", "stuck"):
                delays = [cancel_delay(store, behaviour) for _ in range(5)]
                found[f"cancel of a {behaviour} job, s, longest of 5"] = round(max(delays), 2)
    return found


def cancel_delay(store: JobStore, behaviour: str) -> float:
    job = store.submit(toy_spec(behaviour))
    while store.get(job.id).state is not JobState.RUNNING:
        time.sleep(0.05)
    time.sleep(0.3)
    began = time.perf_counter()
    store.request_cancel(job.id)
    wait_until_final(store, job.id, 30)
    return time.perf_counter() - began


def main() -> None:
    os.environ["PYTHONPATH"] = str(HERE)
    folder = Path(tempfile.mkdtemp(prefix="noyau-jobs-"))
    with database(folder) as url:
        with JobStore.open(url) as store:
            found = {**store_rates(store), **long_queue(store)}
        found |= worker_figures(url, folder)
    shutil.rmtree(folder)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
