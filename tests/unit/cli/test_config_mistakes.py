"""Every mistake in the settings is named at once: where it was given, what is wrong, what to write instead."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from noyau.cli import build_app
from noyau.config import Settings, load_settings
from noyau.config_mistakes import setting_paths, variable_name
from noyau.domain.errors import InvalidInput
from typer.testing import CliRunner


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("NOYAU_"):
            monkeypatch.delenv(name)


def report(file: Path | None = None) -> str:
    with pytest.raises(InvalidInput) as caught:
        load_settings(file)
    return str(caught.value)


def test_all_mistakes_of_environment_and_file_are_in_one_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "noyau.toml"
    file.write_text('[listen]\nadress = "x"\n[log]\nformat = "xml"\n[omero.lab]\nport = 4064\n')
    for name, value in (
        ("NOYAU_JOBS__WORKERS", "many"),
        ("NOYAU_JOBS__THREADS", "0"),
        ("NOYAU_JOBZ__WORKERS", "1"),
        ("NOYAU_JOBS_WORKERS", "1"),
        ("NOYAU_ACCESS__ROOTS", "[oops"),
    ):
        monkeypatch.setenv(name, value)
    told = report(file)
    assert told.startswith("8 settings cannot be used:")
    for line in (
        r"environment variable NOYAU_JOBZ__WORKERS: it names no setting. Did you mean NOYAU_JOBS__WORKERS\?",
        r"environment variable NOYAU_JOBS_WORKERS: it names no setting. Did you mean NOYAU_JOBS__WORKERS\?",
        r"jobs.workers \(environment variable NOYAU_JOBS__WORKERS\): 'many' .* Write a whole number from 0 to 64",
        r"jobs.threads \(environment variable NOYAU_JOBS__THREADS\): '0' is too small. .* from 1 to 1024",
        r"access.roots \(environment variable NOYAU_ACCESS__ROOTS\): .* NOYAU_ACCESS__ROOTS='\[\"one\", \"two\"\]'",
        r"listen.adress \(.*noyau.toml, \[listen\] adress\): there is no such setting. Did you mean listen.address\?",
        r"log.format \(.*noyau.toml, \[log\] format\): .* Write one of auto, console, json",
        r"omero.lab.host \(.*noyau.toml, \[omero\] lab\): it is missing",
    ):
        assert re.search(line, told), f"{line}\n{told}"


def test_a_broken_file_does_not_hide_a_wrong_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "noyau.toml"
    file.write_text("this is no toml")
    monkeypatch.setenv("NOYAU_LIMITS__IMAGES", "none")
    assert "it is not TOML" in report(file)
    assert "limits.images" in report(file)


def test_an_option_is_named_as_the_place_of_its_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOYAU_JOBS__WORKERS", "1")
    with pytest.raises(InvalidInput, match=r"jobs.workers \(command line\) cannot be used: 99 is too large"):
        load_settings(jobs={"workers": 99})


@pytest.mark.parametrize(
    ("name", "value"),
    [("NOYAU_JOBS__DATABASE", '{"a": "secret"}'), ("NOYAU_OMERO__LAB__PASSWORD", "secret")],
)
def test_what_may_be_a_password_is_not_repeated(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("NOYAU_JOBS__WORKERS", "many")
    assert "secret" not in report()


def test_names_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    # What Kubernetes sets beside a Service called noyau, and a variable that `password_env` may name.
    for name in ("NOYAU_PORT_50051_TCP_ADDR", "NOYAU_SERVICE_HOST", "NOYAU_PORT", "NOYAU_LAB_SECRET", "NOYAU_SERVER"):
        monkeypatch.setenv(name, "x")
    assert load_settings() == load_settings()


def test_every_setting_has_a_variable_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [variable_name(path) for path in setting_paths(Settings)]
    assert {"NOYAU_STATE_DIR", "NOYAU_METRICS__ADDRESS", "NOYAU_OMERO"} <= set(names)
    # A value of a wrong kind is noticed under every name, except where any text will do.
    for name in names:
        monkeypatch.setenv(name, '["", {"a": {"b": 1}}]')
    told = report()
    texts = ("STATE_DIR", "MODELS_HOME", "MODELS_CACHE", "ADDRESS", "TLS_", "DATABASE", "S3_ENDPOINT", "AUDIT_FILE")
    claims = tuple(f"AUTH__TOKENS__{name}" for name in ("ISSUER", "USER", "GROUPS", "ROLES", "ONCE"))
    hosts = ("JOBS__NAME", "DASK__SCHEDULER", "DASK__SCRATCH")
    missed = [
        name for name in names if name not in told and not any(text in name for text in (*texts, *claims, *hosts))
    ]
    assert missed == []


def test_what_cannot_work_together_is_found_before_anything_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    for name, value in (
        ("NOYAU_STATE_DIR", str(tmp_path / "file" / "state")),
        ("NOYAU_LISTEN__ADDRESS", "nowhere"),
        ("NOYAU_LISTEN__TLS_KEY", str(tmp_path / "none.pem")),
        ("NOYAU_JOBS__DATABASE", "mysql://user:secret@host/db"),
        ("NOYAU_ACCESS__S3_ENDPOINT", "s3.example.org"),
        ("NOYAU_METRICS__ADDRESS", "0.0.0.0:9464"),
        ("NOYAU_OMERO__LAB__HOST", "omero.example.org"),
        ("NOYAU_OMERO__LAB__USER", "noyau"),
        ("NOYAU_OMERO__LAB__PASSWORD_ENV", "NOT_SET_ANYWHERE"),
    ):
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(build_app(), ["serve"])
    assert done.exit_code == 3
    for word in (
        "7 settings cannot be used",
        "state_dir (NOYAU_STATE_DIR)",
        "'nowhere' is not an address",
        "none.pem cannot be read",
        "Databases of type 'mysql' are not supported",
        "access.s3_endpoint",
        "metrics have no login",
        "NOT_SET_ANYWHERE",
    ):
        assert word in done.stderr, f"{word}\n{done.stderr}"
    assert "secret" not in done.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
