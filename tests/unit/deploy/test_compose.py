"""The compose file: locked down, and with names, ports and commands that the service has."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from noyau.api.binding import Binding, split_address
from noyau.cli import build_app
from noyau.config import Settings
from noyau.jobs.database import Database
from noyau.main import Service
from typer.testing import CliRunner

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
VARIABLES = {"IMAGES": "/data/images", "DATABASE_PASSWORD": "abc123"}
SIZES = {"m": 2**20, "g": 2**30}


def filled_in(text: str) -> str:
    """Replaces `${NAME:?message}` and `${NAME:-default}`, the two forms that the file uses."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        return VARIABLES[name] if kind == "?" else VARIABLES.get(name, rest)

    return re.sub(r"\$\{([A-Z_]+):([?-])([^}]*)\}", value, text)


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    text = filled_in((DEPLOY / "compose.yaml").read_text())
    assert "$" not in text
    found: dict[str, Any] = yaml.safe_load(text)["services"]
    return found


@pytest.fixture
def noyau(services: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = services["noyau"]
    return found


@pytest.fixture
def settings(noyau: dict[str, Any], settings_of: Callable[[Mapping[str, str]], Settings]) -> Settings:
    assert all(isinstance(value, str) for value in noyau["environment"].values())
    return settings_of(noyau["environment"])


def compose_command() -> list[str] | None:
    """Compose in either of its forms, which check a file without an engine."""
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True).returncode == 0:
        return [docker, "compose"]
    alone = shutil.which("docker-compose")
    return [alone] if alone else None


def test_compose_itself_accepts_the_file() -> None:
    command = compose_command()
    if command is None:
        pytest.skip("neither docker compose nor docker-compose is on this machine")
    check = [*command, "-f", str(DEPLOY / "compose.yaml"), "config"]
    done = subprocess.run(check, env={**os.environ, **VARIABLES}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARN" not in done.stderr
    bare = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    refused = subprocess.run(check, env=bare, capture_output=True, text=True)
    assert refused.returncode != 0, "it must not start without a password"


def test_the_example_names_every_variable() -> None:
    example = (DEPLOY / "compose.env.example").read_text()
    named = set(re.findall(r"^([A-Z_]+)=", example, flags=re.MULTILINE))
    assert named == set(re.findall(r"\$\{([A-Z_]+):", (DEPLOY / "compose.yaml").read_text()))
    assert re.search(r"^DATABASE_PASSWORD=$", example, flags=re.MULTILINE)


def test_nothing_runs_as_root_or_without_limits(services: dict[str, Any]) -> None:
    assert set(services) == {"noyau", "database"}
    for name, service in services.items():
        assert int(service["user"].split(":")[0]) > 0, name
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
        assert service["pids_limit"] > 0
        assert not {"privileged", "network_mode", "pid", "cap_add"} & set(service)
        tag = service["image"].partition(":")[2]
        assert tag not in ("", "latest")


def test_only_this_machine_reaches_the_service_and_nobody_the_database(services: dict[str, Any]) -> None:
    assert services["noyau"]["ports"] == ["127.0.0.1:50051:50051"]
    assert "ports" not in services["database"]
    networks = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["networks"]
    assert services["database"]["networks"] == ["inside"]
    assert networks["inside"] == {"internal": True}


def test_every_variable_is_a_setting_with_a_value_that_it_takes(settings: Settings, services: dict[str, Any]) -> None:
    assert settings.access.roots == ("/images",)
    database = services["database"]["environment"]
    owner, password, base = (database[f"POSTGRES_{part}"] for part in ("USER", "PASSWORD", "DB"))
    assert settings.database_url == f"postgresql://{owner}:{password}@database:5432/{base}"
    Database.open(settings.database_url).close()


def test_the_address_is_allowed_and_the_port_published(noyau: dict[str, Any], settings: Settings) -> None:
    Binding(settings.listen.address, insecure=settings.listen.insecure)
    _, _, inside = noyau["ports"][0].split(":")
    assert split_address(settings.listen.address) == ("0.0.0.0", int(inside))


def test_what_is_written_lies_on_a_volume(noyau: dict[str, Any], settings: Settings) -> None:
    mounts = [Path(volume.split(":")[1]) for volume in (*noyau["volumes"], *(f":{t}" for t in noyau["tmpfs"]))]
    home = noyau["environment"]["HOME"]
    for path in (settings.state_dir, settings.models_home, settings.models_cache, *settings.access.roots, home):
        assert any(Path(path).is_relative_to(mount) for mount in mounts), path


def test_the_user_has_a_name(noyau: dict[str, Any]) -> None:
    # Without it no network can be loaded by a user that the image's list of users lacks.
    assert noyau["environment"]["USER"]


def test_threads_models_and_end_fit(
    noyau: dict[str, Any], settings: Settings, stop_seconds: Callable[[Settings], float]
) -> None:
    limits = noyau["deploy"]["resources"]["limits"]
    assert settings.jobs.threads is not None
    assert settings.jobs.workers * settings.jobs.threads < float(limits["cpus"])
    memory = int(limits["memory"][:-1]) * SIZES[limits["memory"][-1]]
    assert (settings.jobs.workers + 1) * settings.jobs.model_memory_mib * 2**20 <= memory / 2
    assert int(noyau["stop_grace_period"].removesuffix("s")) > stop_seconds(settings)


def test_the_command_exists_and_takes_the_environment(noyau: dict[str, Any], settings: Settings) -> None:
    program, *arguments = noyau["command"]
    assert program == "noyau"
    done = CliRunner().invoke(build_app(), [*arguments, "--show-settings"])
    assert done.exit_code == 0, done.output
    assert f"NOYAU_LISTEN__ADDRESS={settings.listen.address}" in done.output


@pytest.fixture
def running(settings: Settings, tmp_path: Path) -> Iterator[str]:
    """Address of a service with these settings in a thread; only places and port are this machine's."""
    changed = settings.model_copy(
        update={
            "state_dir": tmp_path / "state",
            "models_home": str(tmp_path / "registered"),
            "models_cache": tmp_path / "cache",
            "listen": settings.listen.model_copy(update={"address": "127.0.0.1:0", "drain_seconds": 0.0}),
            "jobs": settings.jobs.model_copy(update={"database": None, "workers": 0}),
        }
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    service = Service(changed, warm=False)
    asyncio.run_coroutine_threadsafe(service.start(), loop).result()
    yield service.address
    asyncio.run_coroutine_threadsafe(service.stop(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_the_health_check_tells_a_living_service_from_a_dead_one(noyau: dict[str, Any], running: str) -> None:
    how, program, *arguments = noyau["healthcheck"]["test"]
    assert (how, program) == ("CMD", "noyau")
    (asked,) = [argument for argument in arguments if argument == noyau["ports"][0].rpartition(":")[0]]

    def check(address: str) -> int:
        given = [address if argument == asked else argument for argument in arguments]
        return CliRunner().invoke(build_app(), given).exit_code

    assert check(running) == 0
    assert check("127.0.0.1:1") != 0
