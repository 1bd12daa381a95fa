"""Every line of the log that a job writes names it, whichever library writes; the next job's lines do not."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from noyau.domain.errors import DamagedData, Unavailable
from noyau.domain.image import ImageRef
from noyau.domain.jobs import JobResult, SegmentSpec
from noyau.jobs.context import JobContext
from noyau.jobs.runner import JobRunner
from noyau.jobs.settings import JobTimes
from noyau.jobs.store import JobStore
from noyau.logs import configure_logging

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def json_log() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging("json", "info")
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def act(spec: SegmentSpec, context: JobContext) -> JobResult:
    logging.getLogger("library").warning("from a library")
    structlog.get_logger("ours").info("from us")
    raise DamagedData("A chunk is damaged.")


def test_lines_of_a_job_name_it(tmp_path: Path, json_log: None, capsys: pytest.CaptureFixture[str]) -> None:
    with JobStore.open(f"sqlite:///{tmp_path}/jobs.db") as store:
        job = store.submit(SegmentSpec((ImageRef("a"),)), group="lab", trace=f"00-{TRACE}-00f067aa0ba902b7-01")
        lease = store.claim("w")
        assert lease is not None
        configure_logging("json", "info")  # on the standard error of this test
        capsys.readouterr()
        JobRunner(store, tmp_path / "work", JobTimes()).run(lease, act)
        logging.getLogger("library").warning("afterwards")
    *inside, after = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    begin, library, ours, failed, end = [line["event"] for line in inside]
    assert (begin, end) == (f"job {job.id} begins", f"job {job.id} has ended: FAILED")
    assert (library, ours) == ("from a library", "from us")
    assert "A chunk is damaged." in failed
    assert {(line["job"], line["attempt"], line["kind"]) for line in inside} == {(job.id, 1, "segment")}
    assert {(line["group"], line["trace"]) for line in inside} == {("lab", TRACE)}
    assert "job" not in after


def test_lines_of_the_heartbeat_and_of_tidying_up_name_the_job(
    tmp_path: Path, json_log: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    beaten = threading.Event()

    def no_answer(*_: object) -> bool:
        beaten.set()
        raise Unavailable("The job database does not answer.")

    def wait(spec: SegmentSpec, context: JobContext) -> JobResult:
        assert beaten.wait(60)
        raise DamagedData("A chunk is damaged.")

    def explode(*_: object) -> None:
        raise OSError("no")

    with JobStore.open(f"sqlite:///{tmp_path}/jobs.db") as store:
        job = store.submit(SegmentSpec((ImageRef("a"),)))
        lease = store.claim("w")
        assert lease is not None
        configure_logging("json", "info")
        capsys.readouterr()
        monkeypatch.setattr(store, "cancel_requested", no_answer)
        monkeypatch.setattr("noyau.jobs.runner.do_cleanup", explode)
        JobRunner(store, tmp_path / "work", JobTimes(cancel_poll=0.01)).run(lease, wait)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {line["job"] for line in lines} == {job.id}
    told = " ".join(line["event"] for line in lines)
    assert "no heartbeat" in told
    assert "its leftovers could not be removed yet" in told
