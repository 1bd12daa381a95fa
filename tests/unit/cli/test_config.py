"""Where settings come from, and what is said of wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from noyau.config import Settings, load_settings, settings_from_json, settings_to_json
from noyau.domain.errors import InvalidInput


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("NOYAU_"):
            monkeypatch.delenv(name)


def test_the_option_wins_over_the_environment_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "noyau.toml"
    file.write_text('state_dir = "/from/file"\n[jobs]\nworkers = 3\nthreads = 4\n[listen]\naddress = "127.0.0.1:1"\n')
    monkeypatch.setenv("NOYAU_JOBS__WORKERS", "5")
    monkeypatch.setenv("NOYAU_ACCESS__ROOTS", '["/data", "/scratch"]')
    found = load_settings(file, listen={"address": "127.0.0.1:2"})
    assert found.state_dir == Path("/from/file")
    assert (found.jobs.workers, found.jobs.threads) == (5, 4)
    assert found.access.roots == ("/data", "/scratch")
    assert found.listen.address == "127.0.0.1:2"
    monkeypatch.setenv("NOYAU_CONFIG", str(file))
    assert load_settings().jobs.threads == 4


def test_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    found = load_settings()
    assert found.state_dir == tmp_path / "noyau"
    assert found.database_url == f"sqlite:///{tmp_path / 'noyau' / 'jobs.sqlite'}"
    assert found.listen.address == "127.0.0.1:50051"


def test_worker_processes_get_the_same_settings_whatever_their_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    found = load_settings(models=("/models",), jobs={"database": "postgresql://u:p@h/d"})
    monkeypatch.setenv("NOYAU_JOBS__WORKERS", "9")
    assert settings_from_json(settings_to_json(found)) == found


def test_the_place_of_registered_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    # The same for every service and command of a user, whatever its state folder.
    assert load_settings(state_dir="/elsewhere").models_home == str(tmp_path / "noyau" / "models")
    monkeypatch.setenv("NOYAU_MODELS_HOME", "s3://bucket/models/")
    assert load_settings().models_home == "s3://bucket/models"
    monkeypatch.setenv("NOYAU_MODELS_HOME", "own")
    assert load_settings().models_home == str(Path.cwd() / "own")
    for wrong in ("https://host/models", "s3://", " "):
        monkeypatch.setenv("NOYAU_MODELS_HOME", wrong)
        with pytest.raises(InvalidInput, match="models_home"):
            load_settings()


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("NOYAU_JOBS__WORKERS", "many", "jobs.workers"),
        ("NOYAU_JOBS__WORKERZ", "1", "workerz"),
        ("NOYAU_JOBZ__WORKERS", "1", "NOYAU_JOBZ__WORKERS"),
        ("NOYAU_ACCESS__ROOTS", "[oops", "access"),
        ("NOYAU_CONFIG", "/nowhere/noyau.toml", "/nowhere/noyau.toml"),
    ],
)
def test_wrong_settings_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, word: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidInput, match=word):
        load_settings()


def test_wrong_files_are_named(tmp_path: Path) -> None:
    file = tmp_path / "noyau.toml"
    file.write_text("this is no toml")
    with pytest.raises(InvalidInput):
        load_settings(file)
    file.write_text("[listen]\nadress = 1\n")
    with pytest.raises(InvalidInput, match="adress"):
        load_settings(file)


def test_the_address_of_a_client_is_no_setting_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOYAU_SERVER", "elsewhere:1")
    assert load_settings().listen.address == "127.0.0.1:50051"


def test_every_setting_is_described() -> None:
    def walk(model: type[object]) -> None:
        for name, field in model.model_fields.items():  # type: ignore[attr-defined]
            if hasattr(field.annotation, "model_fields"):
                walk(field.annotation)
            else:
                assert field.description, f"{model.__name__}.{name}"

    walk(Settings)
