"""The compose file: locked down, and with names, ports and commands that the service has."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from noyau.api.binding import Binding, split_address
from noyau.cli import build_app
from noyau.config import Settings
from noyau.jobs.database import Database
from typer.testing import CliRunner

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
VARIABLES = {"IMAGES": "/data/images", "DATABASE_PASSWORD": "abc123"}
SIZES = {"m": 2**20, "g": 2**30}
ALWAYS = {"noyau", "database"}
PROFILES = {
    "workers": {"scheduler", "worker"},
    "monitoring": {"prometheus", "grafana"},
    "omero": {"omero", "omero-web", "omero-database"},
}
# Images of others that write into their own file system, and have a user of their own.
WRITES_ITSELF = {"omero", "omero-web"}
OURS = {"noyau", "scheduler", "worker"}
LOOPBACK = {"50051", "3000", "4064", "4080"}


def filled_in(text: str) -> str:
    """Replaces `${NAME:?message}` and `${NAME:-default}`, the two forms that the file uses."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        return VARIABLES[name] if kind == "?" else VARIABLES.get(name, rest)

    return re.sub(r"\$\{([A-Z_]+):([?-])([^}]*)\}", value, text)


def environment_of(service: dict[str, Any]) -> dict[str, str]:
    """Variables with a value; those without are passed on from .env where that has them."""
    return {name: value for name, value in service["environment"].items() if value is not None}


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
    assert all(isinstance(value, str) for value in environment_of(noyau).values())
    return settings_of({**image_environment(), **environment_of(noyau)})


def image_environment() -> dict[str, str]:
    """What the image sets already."""
    text = (DEPLOY / "Dockerfile").read_text()
    block = text[text.index("\nENV ") :].split("\nLABEL")[0]
    return dict(re.findall(r"((?:NOYAU_|HOME|USER|XDG_)[A-Z_]*)=(\S+)", block))


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
    named = set(re.findall(r"^#?([A-Z_]+)=", example, flags=re.MULTILINE))
    text = (DEPLOY / "compose.yaml").read_text()
    passed_on = set(re.findall(r"^      ([A-Z_]+):$", text, flags=re.MULTILINE))
    assert passed_on == {"NOYAU_DASK__SCHEDULER", "NOYAU_OMERO"}
    assert named == set(re.findall(r"\$\{([A-Z_]+):", text)) | passed_on | {"COMPOSE_PROFILES"}
    assert re.search(r"^DATABASE_PASSWORD=$", example, flags=re.MULTILINE)


def test_values_of_the_example_are_settings(settings_of: Callable[[Mapping[str, str]], Settings]) -> None:
    example = (DEPLOY / "compose.env.example").read_text()
    found = dict(re.findall(r"^#(NOYAU_[A-Z_]+)=(.+)$", example, flags=re.MULTILINE))
    settings = settings_of({**found, "NOYAU_DASK__INSECURE": "true"})
    assert settings.omero["here"].host in PROFILES["omero"]
    assert settings.dask.scheduler == "tcp://scheduler:8786"


def test_services_and_their_profiles(services: dict[str, Any]) -> None:
    found: dict[str, set[str]] = {}
    for name, service in services.items():
        (profile,) = service.get("profiles", ["always"])
        found.setdefault(profile, set()).add(name)
    assert found == {"always": ALWAYS, **PROFILES}


def test_nothing_runs_as_root_or_without_limits(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if name not in WRITES_ITSELF:
            assert int(service["user"].split(":")[0]) > 0, name
            assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
        assert service["pids_limit"] > 0
        assert service["restart"] == "unless-stopped"
        assert not {"privileged", "network_mode", "pid", "cap_add"} & set(service)
        tag = service["image"].partition(":")[2]
        assert tag not in ("", "latest")


def test_only_this_machine_reaches_the_services_and_nobody_the_databases(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert {port.split(":")[0] for port in published} == {"127.0.0.1"}
    assert {port.split(":")[1] for port in published} == LOOPBACK
    networks = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["networks"]
    for name, network in (("database", "inside"), ("omero-database", "omero-inside"), ("scheduler", "spread")):
        assert services[name]["networks"] == [network]
        assert networks[network] == {"internal": True}
    # Whoever reaches the scheduler can run programs.
    assert {name for name, service in services.items() if "spread" in service["networks"]} == OURS


def test_every_volume_and_network_is_declared_and_used(services: dict[str, Any]) -> None:
    document = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    mounted = [volume.split(":")[0] for service in services.values() for volume in service.get("volumes", ())]
    assert set(document["volumes"]) == {name for name in mounted if not name.startswith((".", "/"))}
    assert set(document["networks"]) == {name for service in services.values() for name in service["networks"]}
    for folder in (name for name in mounted if name.startswith(".")):
        assert (DEPLOY / folder).is_dir(), folder


def test_the_service_and_its_workers_agree(
    services: dict[str, Any], settings: Settings, settings_of: Callable[[Mapping[str, str]], Settings]
) -> None:
    worker = settings_of({**image_environment(), **environment_of(services["worker"])})
    host, port = worker.dask.scheduler.removeprefix("tcp://").split(":") if worker.dask.scheduler else ("", "")
    assert host in services
    assert services[host]["command"][services[host]["command"].index("--port") + 1] == port
    assert settings.dask.scratch == worker.dask.scratch
    assert settings.models_home == worker.models_home
    assert settings.access == worker.access
    assert settings.dask.scheduler is None, "without the profile jobs run in the service"
    for name in ("noyau", "worker"):
        mounts = {volume.split(":")[1]: volume.split(":")[0] for volume in services[name]["volumes"]}
        assert (mounts["/scratch"], mounts["/var/lib/noyau"]) == ("scratch", "state")
    done = CliRunner().invoke(build_app(), [*services["worker"]["command"], "--help"])
    assert done.exit_code == 0


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
    home = image_environment()["HOME"]
    scratch = settings.dask.scratch
    for path in (
        settings.state_dir,
        settings.models_home,
        settings.models_cache,
        scratch,
        *settings.access.roots,
        home,
    ):
        assert path is not None
        assert any(Path(path).is_relative_to(mount) for mount in mounts), path


def test_models_and_end_fit(
    noyau: dict[str, Any], settings: Settings, stop_seconds: Callable[[Settings], float]
) -> None:
    limits = noyau["deploy"]["resources"]["limits"]
    # Left to the service, which sees its quota of processors.
    assert settings.jobs.threads is None
    memory = int(limits["memory"][:-1]) * SIZES[limits["memory"][-1]]
    assert (settings.jobs.workers + 1) * settings.jobs.model_memory_mib * 2**20 <= memory / 2
    assert int(noyau["stop_grace_period"].removesuffix("s")) > stop_seconds(settings)


def test_the_command_exists_and_takes_the_environment(noyau: dict[str, Any], settings: Settings) -> None:
    assert "entrypoint" not in noyau, "the image's is noyau"
    arguments = noyau["command"]
    done = CliRunner().invoke(build_app(), [*arguments, "--show-settings"])
    assert done.exit_code == 0, done.output
    assert f"NOYAU_LISTEN__ADDRESS={settings.listen.address}" in done.output


def test_figures_are_served_where_prometheus_looks(services: dict[str, Any], settings: Settings) -> None:
    document = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    (job,) = document["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    host, port = target.split(":")
    assert settings.metrics.address == f"0.0.0.0:{port}"
    assert settings.metrics.insecure
    assert set(services["prometheus"]["networks"]) & set(services[host]["networks"])
    assert {(DEPLOY / "prometheus" / name).name for name in document["rule_files"]} == {"alerts.yml"}
    assert (DEPLOY / "prometheus" / "alerts.yml").is_file()
