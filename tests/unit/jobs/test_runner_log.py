"""Every line of the log that a job writes names it, whichever library writes; the next job's lines do not."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from noyau.domain.errors import DamagedData
from noyau.domain.image import ImageRef
from noyau.domain.jobs import JobResult, SegmentSpec
from noyau.jobs.context import JobContext
from noyau.jobs.runner import JobRunner
from noyau.jobs.settings import JobTimes
from noyau.jobs.store import JobStore
from noyau.logs import configure_logging


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
        job = store.submit(SegmentSpec((ImageRef("a"),)))
        lease = store.claim("w")
        assert lease is not None
        configure_logging("json", "info")  # on the standard error of this test
        capsys.readouterr()
        JobRunner(store, tmp_path / "work", JobTimes()).run(lease, act)
        logging.getLogger("library").warning("afterwards")
    *inside, after = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in inside][:2] == ["from a library", "from us"]
    assert len(inside) == 3
    assert {(line["job"], line["attempt"]) for line in inside} == {(job.id, 1)}
    assert "job" not in after
