"""Noyau, PostgreSQL and S3 in containers on a network of their own, locked down as deploy/compose.yaml does it."""

from __future__ import annotations

import json
import socket
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import docker
from docker.models.containers import Container
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

PASSWORD = "letmein1"
BUCKET = "images"
AWS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
MEMORY = "4g"
# Generous: machines that build and test at once are slow.
PATIENCE = 300.0
SETTINGS = {
    "NOYAU_LISTEN__ADDRESS": "0.0.0.0:50051",
    "NOYAU_LISTEN__INSECURE": "true",
    "NOYAU_ACCESS__REMOTE_HOSTS": json.dumps([f"s3://{BUCKET}"]),
    "NOYAU_ACCESS__S3_ENDPOINT": "http://s3:5000",
    "NOYAU_JOBS__DATABASE": f"postgresql://noyau:{PASSWORD}@database:5432/noyau",
    "NOYAU_JOBS__WORKERS": "1",
    "NOYAU_JOBS__THREADS": "1",
    "NOYAU_JOBS__MODEL_MEMORY_MIB": "512",
    "NOYAU_JOBS__LEASE_SECONDS": "5",
    "NOYAU_LOG__FORMAT": "json",
    **AWS,
}


def locked_down(**more: Any) -> dict[str, Any]:
    """Options of the engine for a container that may do as little as possible."""
    return {
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "pids_limit": 1024,
        "init": True,
        **more,
    }


def free_port() -> int:
    """A port of the loopback that nobody uses; a container keeps it when it is started again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, container: Container) -> None:
    """Until somebody listens. Raises RuntimeError with the container's words when it ends or takes too long."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        container.reload()
        if container.status == "exited":
            break
        with socket.socket() as probe:
            probe.settimeout(2)
            # Docker's proxy accepts before the container does; only who is not cut off has reached it.
            if probe.connect_ex(("127.0.0.1", port)) == 0 and _stays(probe):
                return
        time.sleep(0.2)
    raise RuntimeError(f"{container.name} does not answer:\n{container.logs(tail=30).decode()}")


def wait_for_health(container: Container, wanted: str) -> None:
    """Until the engine's health check says so. Raises RuntimeError with the container's words when it never does."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        container.reload()
        if container.attrs["State"]["Health"]["Status"] == wanted:
            return
        if container.status == "exited":
            break
        time.sleep(0.2)
    raise RuntimeError(f"{container.name} is never {wanted}:\n{container.logs(tail=50).decode()}")


def _stays(probe: socket.socket) -> bool:
    probe.settimeout(0.3)
    try:
        return probe.recv(1) != b""
    except TimeoutError:
        return True
    except OSError:
        return False


@dataclass
class Service:
    """One container of Noyau on the network of a stack; the same address and state through every restart."""

    image: str
    network: Network
    settings: Mapping[str, str]
    volume: str = field(default_factory=lambda: f"noyau-test-{uuid.uuid4().hex[:12]}")
    port: int = field(default_factory=free_port)
    command: str = "serve"
    _running: DockerContainer | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def container(self) -> Container:
        """The container as the engine sees it now."""
        if self._running is None:
            raise RuntimeError("not started")
        found = self._running.get_wrapped_container()
        found.reload()
        return found

    def __enter__(self) -> Self:
        made = (
            DockerContainer(self.image)
            .with_command(self.command)
            .with_network(self.network)
            .with_bind_ports(50051, self.port)
            .with_volume_mapping(self.volume, "/var/lib/noyau", "rw")
            .with_tmpfs_mount("/tmp", "size=2g,mode=1777")
            .with_kwargs(**locked_down(mem_limit=MEMORY, labels={"noyau": "test"}))
        )
        for name, value in self.settings.items():
            made = made.with_env(name, value)
        self._running = made
        made.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._running is not None:
            self._running.stop()
        client = docker.from_env()
        try:
            client.volumes.get(self.volume).remove(force=True)
        finally:
            client.close()

    def wait_until(self, health: str) -> None:
        """Until the engine's health check says so. Raises RuntimeError with the log when it never does."""
        wait_for_health(self.container, health)

    def wait_until_ended(self) -> int:
        """Exit code."""
        found: int = self.container.wait(timeout=PATIENCE)["StatusCode"]
        return found

    def log(self) -> str:
        """What it said, both streams."""
        return str(self.container.logs().decode())

    def run(self, *command: str) -> tuple[int, str]:
        """Exit code and output of a command inside."""
        done = self.container.exec_run(list(command))
        return int(done.exit_code), done.output.decode()


def postgres(image: str, network: Network) -> DockerContainer:
    """The database, reached from the network only."""
    made = DockerContainer(image).with_network(network).with_network_aliases("database")
    for name, value in {"USER": "noyau", "DB": "noyau", "PASSWORD": PASSWORD}.items():
        made = made.with_env(f"POSTGRES_{name}", value)
    for folder in ("/tmp", "/var/run/postgresql"):
        made = made.with_tmpfs_mount(folder, "size=64m,mode=1777")
    return made.with_kwargs(**locked_down(mem_limit="1g", shm_size="128m", labels={"noyau": "test"}))


def object_store(image: str, network: Network, port: int) -> DockerContainer:
    """The S3 server, for the tests on a port of this machine as well."""
    made = DockerContainer(image).with_network(network).with_network_aliases("s3").with_bind_ports(5000, port)
    made = made.with_tmpfs_mount("/tmp", "mode=1777")
    return made.with_kwargs(**locked_down(mem_limit="1g", labels={"noyau": "test"}))
