"""`noyau doctor` names what works and what does not, with a remedy, and changes nothing."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from noyau.cli import build_app
from noyau.config import Settings, load_settings
from noyau.domain.errors import InternalError
from noyau.jobs.store import JobStore
from noyau.operations import machine, places, remote
from noyau.operations.findings import Finding, Status, look, ok
from typer.testing import CliRunner


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without any settings."""
    for name in list(os.environ):
        if name.startswith("NOYAU_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def doctor(*arguments: str, code: int = 0) -> dict[str, Any]:
    done = CliRunner().invoke(build_app(), ["doctor", "--quick", "--json", *arguments])
    assert done.exit_code == code, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def named(report: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {finding["name"]: finding for finding in report["findings"]}


def test_a_machine_where_all_works(home: Path) -> None:
    report = doctor()
    assert report["works"] is True
    found = named(report)
    assert {"settings", "python", "torch", "processors", "memory", "state folder", "models home"} <= set(found)
    assert found["job database"]["found"].endswith("is made at the first start")
    assert any(name.startswith("model nuclei-3d@") for name in found)
    assert all(finding["remedy"] for finding in report["findings"] if finding["status"] != "ok")
    # Nothing was made.
    assert list(home.iterdir()) == []


def test_what_does_not_work_fails_with_a_remedy(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        for name, value in (
            ("NOYAU_STATE_DIR", str(home / "file" / "state")),
            ("NOYAU_ACCESS__ROOTS", json.dumps([str(home / "none")])),
            ("NOYAU_ACCESS__S3_ENDPOINT", f"http://user:secret@127.0.0.1:{port}"),
            ("NOYAU_OMERO__LAB__HOST", "127.0.0.1"),
            ("NOYAU_OMERO__LAB__PORT", str(port)),
            ("NOYAU_JOBS__DATABASE", str(home / "file")),
        ):
            monkeypatch.setenv(name, value)
        (home / "file").write_text("this is no database, although it is long enough to be taken for one" * 20)
        report = doctor("--server", f"127.0.0.1:{port}", code=11)
    assert report["works"] is False
    failed = {name for name, finding in named(report).items() if finding["status"] == "failed"}
    assert {
        "setting state_dir (NOYAU_STATE_DIR)",
        "state folder",
        f"images {home / 'none'}",
        "job database",
        "s3 endpoint",
        "omero lab",
        f"server 127.0.0.1:{port}",
    } == failed
    assert all(finding["remedy"] for finding in report["findings"] if finding["status"] == "failed")
    assert "secret" not in json.dumps(report)


def test_the_report_for_people_has_one_line_and_its_remedy() -> None:
    done = CliRunner().invoke(build_app(), ["doctor", "--quick"])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "ok       settings: all can be used together"


def test_a_wrong_setting_ends_the_doctor_like_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOYAU_JOBS__WORKERS", "many")
    done = CliRunner().invoke(build_app(), ["doctor", "--quick"])
    assert done.exit_code == 3
    assert "jobs.workers" in done.stderr


def only(findings: Iterator[Finding]) -> Finding:
    (found,) = findings
    return found


def test_the_schema_of_the_job_database_is_told_and_left_alone(home: Path) -> None:
    settings = load_settings()
    JobStore.open(settings.database_url).close()
    assert only(places.job_store(settings)).status is Status.OK
    with JobStore.open(settings.database_url) as store, store.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")
    before = only(places.job_store(settings))
    assert before.status is Status.WARNING
    assert "none yet" in before.found
    assert only(places.job_store(settings)) == before


def test_little_memory_and_few_processors_are_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory_mib", lambda: 8000)
    settings = Settings.model_validate({"jobs": {"workers": 2, "threads": 1024}})
    found = {finding.name: finding for finding in machine.capacity(settings)}
    assert found["processors"].status is Status.WARNING
    assert found["memory"].status is Status.WARNING
    assert "12288 MiB" in found["memory"].found


def test_the_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(machine, "_CGROUP_LIMIT", limit)
    whole = machine.memory_mib()
    limit.write_text(f"{100 * 2**20}\n")
    assert machine.memory_mib() == 100
    limit.write_text("max\n")
    assert machine.memory_mib() == whole


def test_a_full_disk_is_a_warning(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "LEAST_FREE_MIB", 2**60)
    found = {finding.name: finding.status for finding in places.folders(load_settings())}
    assert found["state folder"] is Status.WARNING


def test_an_extra_that_is_not_installed_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "EXTRAS", {"none": ("no_such_package.part", "none", "nothing")})
    found = only(machine.extras())
    assert (found.status, found.remedy) == (Status.ABSENT, "Where you need it: pip install noyau[none]")


def test_one_fault_hides_no_other() -> None:
    def sick() -> Iterator[Finding]:
        yield ok("first", "")
        raise InternalError("It broke.", "Mend it.")

    def mad() -> Iterator[Finding]:
        raise RuntimeError("boom")

    assert [(f.status, f.remedy) for f in look("sick", sick)] == [(Status.OK, ""), (Status.FAILED, "Mend it.")]
    assert [f.found for f in look("mad", mad)] == ["RuntimeError: boom"]


def test_a_port_that_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        settings = Settings.model_validate(
            {"access": {"s3_endpoint": f"http://127.0.0.1:{listening.getsockname()[1]}"}}
        )
        assert only(remote.endpoints(settings)).status is Status.OK


def test_the_collector_and_the_scheduler_are_looked_at() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        there, absent = listening.getsockname()[1], nobody.getsockname()[1]
        settings = Settings.model_validate(
            {
                "traces": {"endpoint": f"http://127.0.0.1:{there}"},
                "dask": {"scheduler": f"tcp://127.0.0.1:{absent}"},
            }
        )
        found = {finding.name: finding.status for finding in remote.endpoints(settings)}
    assert found == {"traces collector": Status.OK, "dask scheduler": Status.FAILED}
