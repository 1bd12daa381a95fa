"""The OMERO tests against the official server in containers, where a Docker engine and the images are at hand.

The images are not pulled: `docker pull openmicroscopy/omero-server:5.6 && docker pull postgres:16` gets them.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import omero
import pytest

SERVER_IMAGE, DATABASE_IMAGE = "openmicroscopy/omero-server:5.6", "postgres:16"
TLS_PORT = 4064
START_SECONDS = 600
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Official:
    """Where the server is and the password of root."""

    host: str
    port: int
    password: str


def why_not() -> str:
    """Why the containers cannot be started; empty when they can."""
    try:
        engine = subprocess.run(["docker", "info"], capture_output=True, timeout=60)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return "no Docker on this machine"
    if engine.returncode != 0:
        return "no Docker engine answers"
    for image in (SERVER_IMAGE, DATABASE_IMAGE):
        if subprocess.run(["docker", "image", "inspect", image], capture_output=True).returncode != 0:
            return f"the image {image} is not on this machine (docker pull {image})"
    return ""


@pytest.fixture
def official(monkeypatch: pytest.MonkeyPatch) -> Iterator[Official]:
    """PostgreSQL and OMERO.server in a network of their own."""
    if reason := why_not():
        pytest.skip(reason)
    # The reaper is another image, which would be pulled.
    monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
    containers = pytest.importorskip("testcontainers.core.container")
    networks = pytest.importorskip("testcontainers.core.network")
    password = secrets.token_hex(8)
    account = {"POSTGRES_USER": "omero", "POSTGRES_PASSWORD": password, "POSTGRES_DB": "omero"}
    settings = {"host": "database", "user": "omero", "pass": password, "name": "omero"}
    with networks.Network() as network:
        database = containers.DockerContainer(DATABASE_IMAGE).with_network(network).with_network_aliases("database")
        server = containers.DockerContainer(SERVER_IMAGE).with_network(network).with_exposed_ports(TLS_PORT)
        for name, value in account.items():
            database = database.with_env(name, value)
        for name, value in settings.items():
            server = server.with_env(f"CONFIG_omero_db_{name}", value)
        with database, server.with_env("ROOTPASS", password) as running:
            found = Official(running.get_container_host_ip(), int(running.get_exposed_port(TLS_PORT)), password)
            wait_for(found)
            yield found


def wait_for(server: Official) -> None:
    """Waits until root can log in.

    Raises:
        TimeoutError: That takes too long.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        client = omero.client(server.host, server.port)
        try:
            client.createSession("root", server.password)
        except Exception:
            # Refused connections, then refused logins while the database is made: all mean not yet.
            time.sleep(5)
        else:
            return
        finally:
            client.__del__()
    raise TimeoutError(f"OMERO.server did not start within {START_SECONDS} s")


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_same_tests_pass_against_the_official_server(official: Official) -> None:
    files = sorted(p.name for p in HERE.glob("test_*.py") if p.name != Path(__file__).name)
    environment = {
        **os.environ,
        "OMERO_HOST": official.host,
        "OMERO_PORT": str(official.port),
        "OMERO_ROOT_PASSWORD": official.password,
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
