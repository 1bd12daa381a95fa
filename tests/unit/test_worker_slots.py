"""What `noyau worker` refuses before it starts a process, and what its processes are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from noyau import worker_slots
from noyau.cli import build_app
from noyau.config import Settings
from noyau.domain.errors import FailedPrecondition, InvalidInput
from noyau.worker_slots import WorkerSlots, plan_slots
from pydantic import ValidationError
from typer.testing import CliRunner


def settings(**dask: object) -> Settings:
    return Settings.model_validate({"dask": {"scheduler": "tcp://127.0.0.1:8786", **dask}, "jobs": {"threads": 3}})


def test_without_a_scheduler_it_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="none is named") as caught:
        plan_slots(Settings(), 1)
    assert "dask scheduler" in caught.value.remedy


def test_one_slot_per_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_slots, "visible_gpus", lambda: ["0", "1"])
    assert [(slot.device, slot.gpu, slot.hands) for slot in plan_slots(settings(), 1)] == [
        ("cuda", "0", 3),
        ("cuda", "1", 3),
    ]
    assert [slot.device for slot in plan_slots(settings(device="cpu"), 2)] == ["cpu", "cpu"]


def test_no_gpu_where_one_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_slots, "visible_gpus", list)
    with pytest.raises(FailedPrecondition, match="A GPU was asked for"):
        plan_slots(settings(device="cuda"), 1)
    assert [(slot.device, slot.hands) for slot in plan_slots(settings(hands=2), 1)] == [("cpu", 2)]


def test_the_password_of_the_database_does_not_leave_the_parent() -> None:
    given = Settings.model_validate(
        {
            "dask": {"scheduler": "tcp://127.0.0.1:1", "device": "cpu"},
            "jobs": {"database": "postgresql://u:hunter2@h/d"},
        }
    )
    slots = WorkerSlots(given, plan_slots(given, 1))
    assert b"hunter2" not in slots._slots[0]._line


def test_settings_that_do_not_go_together() -> None:
    with pytest.raises(ValidationError, match="not both"):
        settings(scheduler_file="/x.json")
    with pytest.raises(ValidationError, match="or none of them"):
        settings(tls_ca="/ca.pem")


def test_the_command_tells_in_one_sentence_and_an_exit_code(tmp_path: Path) -> None:
    result = CliRunner().invoke(build_app(), ["worker", "--scratch", str(tmp_path)])
    assert (result.exit_code, "none is named" in result.stderr) == (3, True)
    files = ["--tls-ca", "/absent/ca", "--tls-certificate", "/absent/c", "--tls-key", "/absent/k"]
    result = CliRunner().invoke(build_app(), ["worker", "--scheduler", "tls://h:1", "--device", "cpu", *files])
    assert (result.exit_code, "cannot be used" in result.stderr) == (11, True)
