"""deploy/compose.yaml, brought up as it is: the service, its database, and the profile workers with a job spread to it.

PostgreSQL is the tests' own, because the official image may not be reachable.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from container_kit import free_port, wait_for_health
from noyau.client import Client

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(1800)]
COMPOSE = Path(__file__).resolve().parents[2] / "deploy" / "compose.yaml"
INSIDE = "http://127.0.0.1:9464/metrics"


@dataclass(frozen=True)
class Project:
    """A stack of Compose of its own name."""

    command: tuple[str, ...]
    environment: dict[str, str]
    images: Path
    port: int

    def run(self, *words: str) -> str:
        done = subprocess.run([*self.command, *words], env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def container(self, engine: Any, service: str) -> Any:
        return engine.containers.get(self.run("ps", "--quiet", service).strip())


def compose() -> list[str]:
    """Compose in one of its forms."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    alone = shutil.which("docker-compose")
    if alone is None:
        pytest.skip("Compose is not on this machine")
    return [alone]


@pytest.fixture
def project(engine: Any, noyau_image: str, helper_images: dict[str, str], tmp_path: Path) -> Iterator[Project]:
    """The stack with its workers; everything it made is gone afterwards."""
    images, port = tmp_path / "images", free_port()
    images.mkdir()
    # User 10001 writes results beside the images.
    images.chmod(0o777)
    over = tmp_path / "over.yaml"
    over.write_text(yaml.safe_dump({"services": {"database": {"image": helper_images["postgres"]}}}))
    name = f"noyau-test-{uuid.uuid4().hex[:8]}"
    files = ("--project-name", name, "--file", str(COMPOSE), "--file", str(over), "--profile", "workers")
    given = {
        "IMAGES": str(images),
        "DATABASE_PASSWORD": "letmein1",
        "PROCESSORS": str(min(4, os.cpu_count() or 1)),
        "PORT": str(port),
        "NOYAU_DASK__SCHEDULER": "tcp://scheduler:8786",
    }
    made = Project((*compose(), *files), {**os.environ, **given}, images, port)
    try:
        made.run("up", "--detach")
        yield made
    finally:
        made.run("down", "--volumes", "--timeout", "30")


def test_it_comes_up_and_spreads_a_job(
    project: Project, engine: Any, pixels: np.ndarray, truth: np.ndarray, tmp_path: Path
) -> None:
    from job_kit import converted, labels_on, spec

    wait_for_health(project.container(engine, "noyau"), "healthy")
    uri = converted(pixels, tmp_path, str(project.images / "a.ome.zarr"))
    for path in [Path(uri), *Path(uri).rglob("*")]:
        path.chmod(path.stat().st_mode | (0o777 if path.is_dir() else 0o666))
    with Client(f"127.0.0.1:{project.port}") as client:
        result = client.result(client.submit(spec("/images/a.ome.zarr")).id)
    assert result.nuclei == truth.max()
    np.testing.assert_array_equal(labels_on(uri), truth)
    worker = project.container(engine, "worker").logs().decode()
    assert "scheduler:8786" in worker, worker
    asked = project.container(engine, "noyau").exec_run(
        ["python", "-c", f"import urllib.request as u; print(u.urlopen('{INSIDE}', timeout=60).read().decode())"]
    )
    assert 'noyau_jobs_ended_total{kind="segment",state="succeeded"} 1.0' in asked.output.decode()


def test_the_database_cannot_be_reached_from_outside(project: Project, engine: Any) -> None:
    container = project.container(engine, "database")
    assert not [port for port in container.attrs["NetworkSettings"]["Ports"].values() if port]
    networks = container.attrs["NetworkSettings"]["Networks"]
    assert [engine.networks.get(name).attrs["Internal"] for name in networks] == [True]
