"""Several coordinators on one PostgreSQL: wrong clocks, one name, folders that are not shared, one that is paused."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from crash_harness import ServerProcess, wait_until
from noyau.client import Client
from noyau.domain.image import ImageRef
from noyau.domain.jobs import EventKind, JobState, SegmentSpec
from noyau.jobs.store import JobStore
from noyau.jobs.watching import wait_until_final
from toy_handlers import diary, toy_spec

HERE = Path(__file__).parent
TIMES = {"lease": 3.0, "renew": 0.3, "cancel_poll": 0.1, "recover_poll": 0.2}
PATIENCE = 300
SERVE = [sys.executable, "-c", "from noyau.cli import main; main()", "serve"]

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(900)]


def toy_server(url: str, folder: Path, name: str, skew: float = 0.0) -> ServerProcess:
    program = [str(HERE / "toy_server.py"), url, str(folder), "1", json.dumps(TIMES)]
    skewed = [str(HERE / "skewed_clock.py"), str(skew)] if skew else []
    command = [sys.executable, *skewed, *program]
    return ServerProcess(command, "ready", folder / f"{name}.log", python_path=HERE, timeout=PATIENCE)


def test_wrong_clocks_neither_steal_nor_lose_a_job(postgres_url: str, tmp_path: Path) -> None:
    """A lease is three seconds long, and the clocks are two hours apart: only the database's clock may count."""
    with (
        JobStore.open(postgres_url) as store,
        toy_server(postgres_url, tmp_path, "late", -3600.0),
        toy_server(postgres_url, tmp_path, "early", 3600.0),
    ):
        jobs = [store.submit(toy_spec("units", 250)) for _ in range(4)]
        ended = [wait_until_final(store, job.id, PATIENCE) for job in jobs]
        assert [(job.state, job.attempts) for job in ended] == [(JobState.SUCCEEDED, 1)] * 4
        for job in ended:
            assert "TOGETHER" not in diary(tmp_path, job.id)
            events = store.events_since(job.id)
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            assert not [e for e in events if e.kind is EventKind.LOG], "a lease ended that should not have"
    # Both took part, so that it was a test.
    pids = {line.split("pid=")[1].split()[0] for job in jobs for line in _lines(tmp_path / f"{job.id}.diary")}
    assert len(pids) == 2


def test_wrong_clocks_do_not_hide_a_dead_coordinator(postgres_url: str, tmp_path: Path) -> None:
    """The coordinator with the late clock is stopped for good; the one with the early clock takes its job over."""
    with JobStore.open(postgres_url) as store, toy_server(postgres_url, tmp_path, "late", -3600.0) as late:
        job = store.submit(toy_spec("units", 200))
        wait_until(lambda: "marked 3" in diary(tmp_path, job.id), PATIENCE, "the job does not start")
        stopped = [late.pid, *late.workers()]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            with toy_server(postgres_url, tmp_path, "early", 3600.0):
                ended = wait_until_final(store, job.id, PATIENCE)
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        assert (ended.state, ended.attempts) == (JobState.SUCCEEDED, 2)
        marked = Counter(line for line in diary(tmp_path, job.id) if line.startswith("marked"))
        assert max(marked.values()) == 1


def service(url: str, folder: Path, name: str, state: Path, **settings: str) -> ServerProcess:
    """`noyau serve` with one worker on a socket of its own."""
    arguments = ["--address", f"unix:{folder / name}.sock", "--state-dir", str(state), "--root", str(folder)]
    environment = {
        "NOYAU_JOBS__DATABASE": url,
        "NOYAU_JOBS__LEASE_SECONDS": "4",
        "NOYAU_JOBS__THREADS": "1",
        "OMP_NUM_THREADS": "1",
        **settings,
    }
    command = [*SERVE, *arguments, "--log-format", "json"]
    return ServerProcess(command, "Noyau listens on", folder / f"{name}.log", environment=environment, timeout=PATIENCE)


@pytest.fixture
def short_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a path short enough for a socket."""
    return tmp_path_factory.mktemp("c")


def volume(folder: Path, make_image: Callable[..., Path]) -> Path:
    z, y, x = np.indices((16, 96, 192), dtype=np.float32)
    distance = np.sqrt(((z % 16 - 8) * 2.2) ** 2 + (y % 24 - 12) ** 2 + (x % 24 - 12) ** 2)
    noise = np.random.default_rng(5).normal(0, 15, z.shape)
    pixels = (100 + 800 * (distance < 6) + noise).astype(np.uint16)
    return make_image(folder / "a.ome.zarr", pixels, scale=(1.75, 0.8, 0.8), chunks=(16, 48, 48))


def test_a_paused_coordinator_is_fenced_and_the_labels_are_the_same(
    postgres_url: str, short_folder: Path, make_image: Callable[..., Path]
) -> None:
    """Two real services. The one that runs a job is stopped beyond its lease, the other ends the job, and it wakes."""
    folder = short_folder
    image = volume(folder, make_image)
    spec = SegmentSpec((ImageRef(str(image)),), tile=(16, 32, 32))
    state = folder / "state"
    with (
        JobStore.open(postgres_url) as store,
        service(postgres_url, folder, "a", state) as first,
        Client(f"unix:{folder / 'a.sock'}") as client,
    ):
        job = client.submit(spec)

        def tiles() -> int:
            with store.database.reading() as connection:
                count = "SELECT count(*) FROM units JOIN jobs ON number = job_number WHERE stage = 'predict' AND id = "
                return int(connection.exec_driver_sql(f"{count}'{job.id}'").scalar_one())

        wait_until(lambda: tiles() >= 2, PATIENCE, "the job does not start")
        stale = first.workers()
        stopped = [first.pid, *stale]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            with service(postgres_url, folder, "b", state) as second, Client(f"unix:{folder / 'b.sock'}") as other:
                ended = other.wait(job.id)
                assert (ended.state, ended.attempts) == (JobState.SUCCEEDED, 2), ended.error
                events = store.events_since(job.id)
                expected = _bytes(image / "labels" / "nuclei")
                for pid in stopped:
                    os.kill(pid, signal.SIGCONT)
                wait_until(lambda: not set(stale) & set(first.workers()), PATIENCE, "the stale worker goes on")
                # What it wrote after it woke, if anything, changed nothing.
                assert store.events_since(job.id) == events and store.get(job.id) == ended
                assert _bytes(image / "labels" / "nuclei") == expected
                assert not list(image.rglob(".*.partial"))
                # Undisturbed, the same bytes.
                fresh = other.wait(other.submit(SegmentSpec(spec.images, labels="fresh", tile=spec.tile)).id)
                assert fresh.state is JobState.SUCCEEDED
                names = [json.loads(line)["name"] for line in _lines(folder / "b.log") if '"serving"' in line]
                assert names and second.pid
        finally:
            for pid in stopped:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
    assert _bytes(image / "labels" / "fresh" / "0") == _bytes(image / "labels" / "nuclei" / "0")


def test_two_coordinators_with_one_chosen_name(postgres_url: str, short_folder: Path) -> None:
    folder = short_folder
    own = {"NOYAU_JOBS__NAME": "alpha", "NOYAU_JOBS__WORKERS": "0"}
    with service(postgres_url, folder, "a", folder / "one", **own):
        second = service(postgres_url, folder, "b", folder / "two", **own)
        with pytest.raises(RuntimeError, match="Another coordinator named 'alpha' works on the job database"):
            second.start()
        assert "NOYAU_JOBS__NAME" in second.output and "Traceback" not in second.output
        # Without a chosen name there is room for any number.
        with service(postgres_url, folder, "c", folder / "three", NOYAU_JOBS__WORKERS="0") as third:
            assert third.pid


def test_coordinators_that_share_no_folder_begin_a_job_anew(postgres_url: str, tmp_path: Path) -> None:
    """The scratch of the first is not there for the second: it says so, and does all of the job."""
    with JobStore.open(postgres_url) as store:
        with toy_server(postgres_url, tmp_path, "first") as first:
            job = store.submit(toy_spec("units", 200))
            wait_until(lambda: "marked 3" in diary(tmp_path, job.id), PATIENCE, "the job does not start")
            first.kill()
        (tmp_path / "work").rename(tmp_path / "work-of-another-host")
        with toy_server(postgres_url, tmp_path, "second"):
            ended = wait_until_final(store, job.id, PATIENCE)
        logs = [e.payload["message"] for e in store.events_since(job.id) if e.kind is EventKind.LOG]
    assert (ended.state, ended.attempts) == (JobState.SUCCEEDED, 2)
    assert any("begins anew" in line for line in logs)
    assert diary(tmp_path, job.id).count("marked 3") == 2


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()
