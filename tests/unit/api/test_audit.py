"""Who did what, in a file that others may move away at any time."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from noyau.api.audit import AuditLog, entry_of
from noyau.domain.errors import FailedPrecondition
from noyau.domain.principal import Principal
from noyau.v1 import jobs_pb2, models_pb2, specs_pb2

SUBMIT, GET = "/noyau.v1.JobService/Submit", "/noyau.v1.JobService/Get"
ADA = Principal(("token:ada",), ("imaging",))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def entry(method: str, status: str = "OK", caller: Principal | None = ADA, **about: Any) -> dict[str, Any]:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    found = {"request": None, "answer": None, **about}
    return entry_of(method, status, caller, "ipv4:10.0.0.7:99", found["request"], found["answer"], lambda: now)


def test_a_line_says_who_did_what_to_which_job() -> None:
    spec = specs_pb2.JobSpec(segment=specs_pb2.SegmentSpec(model="nuclei-3d"))
    answer = jobs_pb2.SubmitJobResponse(job=jobs_pb2.Job(id="0a1b", group="imaging", spec=spec))
    assert entry(SUBMIT, answer=answer) == {
        "time": "2026-01-02T03:04:05.000+00:00",
        "call": "JobService/Submit",
        "status": "OK",
        "who": ["token:ada"],
        "role": "user",
        "peer": "ipv4:10.0.0.7:99",
        "job": "0a1b",
        "task": "segment",
        "group": "imaging",
    }
    asked = entry("/noyau.v1.JobService/Cancel", "NOT_FOUND", request=jobs_pb2.CancelJobRequest(job_id="0a1b"))
    assert asked["job"] == "0a1b"
    promoted = models_pb2.SetModelAliasResponse(model=models_pb2.Model(name="m", version="2"))
    request = models_pb2.SetModelAliasRequest(name="m", alias="production", version="2")
    line = entry("/noyau.v1.ModelService/SetAlias", request=request, answer=promoted)
    assert (line["model"], line["alias"]) == ("m@2", "production")
    unknown = entry(SUBMIT, "UNAUTHENTICATED", None)
    assert (unknown["who"], unknown["role"]) == ([], "")


def test_nothing_that_may_be_a_secret_gets_into_a_line() -> None:
    secret = "https://ada:hunter2@example.org/image"
    spec = specs_pb2.JobSpec(segment=specs_pb2.SegmentSpec(model=secret, output=secret))
    request = jobs_pb2.SubmitJobRequest(spec=spec, owner="hunter2", group="hun ter2\n", idempotency_key="hunter2")
    assert "ter2" not in json.dumps(entry(SUBMIT, "INVALID_ARGUMENT", request=request))
    model = models_pb2.RemoveModelRequest(model=secret, by="hunter2")
    assert "ter2" not in json.dumps(entry("/noyau.v1.ModelService/Remove", "NOT_FOUND", request=model))


def test_changes_and_refusals_are_written_and_reads_where_that_is_asked_for(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    assert log.wants(SUBMIT, "OK") and log.wants(SUBMIT, "INTERNAL") and log.wants(GET, "UNAUTHENTICATED")
    assert not log.wants(GET, "OK") and not log.wants(GET, "NOT_FOUND")
    log.close()
    log = AuditLog(tmp_path / "audit.jsonl", reads=True)
    assert log.wants(GET, "OK")
    log.close()


def test_the_file_is_not_for_everybody_and_grows_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for number in range(2):
        log = AuditLog(path)
        log.write({"number": number})
        log.close()
    assert [line["number"] for line in lines(path)] == [0, 1]
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0


def test_a_file_that_logrotate_moved_away_is_followed_by_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = AuditLog(path)
    log.write({"number": 1})
    path.rename(tmp_path / "audit.jsonl.1")
    log.write({"number": 2})
    path.unlink()
    log.write({"number": 3})
    log.close()
    assert lines(tmp_path / "audit.jsonl.1") == [{"number": 1}]
    assert lines(path) == [{"number": 3}]


def _write_many(path: str, name: str) -> None:
    log = AuditLog(Path(path))
    for number in range(200):
        log.write({"who": name, "number": number, "filling": "x" * 500})
    log.close()


def test_processes_that_share_the_file_do_not_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    spawn = multiprocessing.get_context("fork")
    writers = [spawn.Process(target=_write_many, args=(str(path), name)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = lines(path)
    assert len(found) == 400
    assert [line["number"] for line in found if line["who"] == "a"] == list(range(200))


def test_a_file_that_cannot_be_written_is_told_at_the_start_and_later_in_the_log(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match="cannot be written"):
        AuditLog(tmp_path / "none" / "audit.jsonl")
    log = AuditLog(tmp_path / "audit.jsonl")
    os.close(log._file)
    log._file = os.open("/dev/full", os.O_WRONLY)
    log._is_moved = lambda: False  # type: ignore[method-assign]
    with structlog.testing.capture_logs() as told:
        log.write({"who": ["token:ada"]})
    log.close()
    assert told[0]["event"] == "audit line lost" and told[0]["who"] == ["token:ada"]
