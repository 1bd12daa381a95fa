"""A Docker engine and images that are built from this very source.

`make test-containers` builds the images and then runs these tests; there a missing engine is a failure. Any other run
skips them: it must neither build images nor depend on which are there.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
import pytest

# pytest's importlib mode leaves sys.path alone, so the kit would not be found.
sys.path.insert(0, str(Path(__file__).parent))

ROOT = Path(__file__).resolve().parents[2]
INSIST = "CONTAINER_TESTS"
# Its reaper is an image from a registry.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
FIGURES: pytest.StashKey[dict[str, str]] = pytest.StashKey()
Figures = Callable[[str, str], None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(ROOT / "tests" / "containers"):
            item.add_marker(pytest.mark.docker)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for name, value in config.stash.get(FIGURES, {}).items():
        terminalreporter.write_line(f"{name}: {value}")


@pytest.fixture(scope="session")
def figure(request: pytest.FixtureRequest) -> Figures:
    """Notes a figure that is printed at the end of the run."""
    found = request.config.stash.setdefault(FIGURES, {})
    return lambda name, value: found.update({name: value})


def cannot(reason: str) -> NoReturn:
    """The tests were asked for by name and cannot run."""
    pytest.fail(reason, pytrace=False)


def load(name: str) -> ModuleType:
    """A build script as a module."""
    folder = ROOT / "deploy" / "image"
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        if spec is None or spec.loader is None:
            raise RuntimeError(name)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(folder))


@pytest.fixture(scope="session")
def engine() -> Iterator[Any]:
    """The engine, by its Python client."""
    if not os.environ.get(INSIST):
        pytest.skip("containers are tested by: make test-containers")
    if shutil.which("docker") is None:
        cannot("docker is not on this machine")
    docker = pytest.importorskip("docker")
    try:
        client = docker.from_env(timeout=300)
        client.ping()
    except Exception as error:
        cannot(f"no Docker engine answers: {error}")
    yield client
    client.close()


def built(engine: Any, image: str, label: str, wanted: str, remedy: str) -> str:
    """The name of an image that was made of the files as they are now."""
    import docker

    try:
        labels = engine.images.get(image).labels
    except docker.errors.ImageNotFound:
        cannot(f"the image {image} is not built; {remedy}")
    if labels.get(label) != wanted:
        cannot(f"the image {image} is of another source; {remedy}")
    return image


@pytest.fixture(scope="session")
def noyau_image(engine: Any) -> str:
    """The service's image."""
    script = load("build_image")
    return built(engine, script.tag("cpu"), script.SOURCE_LABEL, script.source(), "make image")


@pytest.fixture(scope="session")
def helper_images(engine: Any) -> dict[str, str]:
    """PostgreSQL and S3."""
    script = load("build_test_images")
    return {
        name: built(engine, script.tag(name), script.LABEL, script.source(name), "make test-containers")
        for name in script.NAMES
    }


@dataclass(frozen=True)
class Stack:
    """What a service needs around it."""

    image: str
    network: Any
    s3: str


@pytest.fixture(scope="session")
def stack(noyau_image: str, helper_images: dict[str, str]) -> Iterator[Stack]:
    """PostgreSQL and S3 on a network, with an empty bucket."""
    import boto3
    from container_kit import AWS, BUCKET, free_port, object_store, postgres, wait_for_port
    from testcontainers.core.network import Network

    port = free_port()
    with (
        pytest.MonkeyPatch.context() as patch,
        Network() as network,
        postgres(helper_images["postgres"], network) as database,
        object_store(helper_images["s3"], network, port) as store,
    ):
        for name, value in AWS.items():
            patch.setenv(name, value)
        wait_for_port(port, store.get_wrapped_container())
        wait_for_database(database.get_wrapped_container())
        client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}")
        client.create_bucket(Bucket=BUCKET)
        client.close()
        yield Stack(noyau_image, network, f"http://127.0.0.1:{port}")


def wait_for_database(container: Any) -> None:
    """Until PostgreSQL takes connections."""
    deadline = time.monotonic() + 300
    ask = ["pg_isready", "--host", "127.0.0.1", "--username", "noyau", "--dbname", "noyau"]
    while container.exec_run(ask).exit_code != 0:
        if time.monotonic() > deadline:
            raise RuntimeError(container.logs(tail=30).decode())
        time.sleep(0.3)


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    """What is segmented, z/y/x."""
    from job_kit import balls

    return balls()


@pytest.fixture(scope="session")
def truth(pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Labels of the same image by the same job without any container."""
    from job_kit import converted, labels_on, spec
    from noyau.client import Client
    from noyau.commands.connecting import PrivateService

    folder = tmp_path_factory.mktemp("host")
    uri = converted(pixels, folder, str(folder / "a.ome.zarr"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOYAU_JOBS__THREADS", "1")
        with PrivateService() as address, Client(address) as client:
            client.result(client.submit(spec(uri)).id)
    found = labels_on(uri)
    assert found.max() > 50
    return found
