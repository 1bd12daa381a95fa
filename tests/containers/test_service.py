"""A service in a container with PostgreSQL and S3: a job through it, from this machine, through every kind of stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from container_kit import BUCKET, SETTINGS, Service
from job_kit import converted, labels_on, spec
from noyau.client import Client, Security
from noyau.client.health import is_serving
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import DeadlineExceeded, Unavailable
from noyau.domain.jobs import Event, EventKind, Job, JobState

pytestmark = [pytest.mark.slow, pytest.mark.s3, pytest.mark.postgres, pytest.mark.timeout(1800)]


@pytest.fixture
def service(stack: Any) -> Iterator[Service]:
    """A service that takes jobs."""
    with Service(stack.image, stack.network, SETTINGS) as made:
        made.wait_until("healthy")
        yield made


@pytest.fixture
def image(stack: Any, pixels: np.ndarray, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """An OME-Zarr on S3, of this test alone."""
    return converted(pixels, tmp_path, f"s3://{BUCKET}/{request.node.name}.ome.zarr", everything(stack))


def everything(stack: Any) -> AccessPolicy:
    return AccessPolicy.everything(s3_endpoint=stack.s3)


def test_it_turns_healthy(service: Service, figure: Callable[[str, str], None]) -> None:
    code, said = service.run("noyau", "health")
    assert (code, "takes jobs" in said) == (0, True), said
    state = service.container.attrs["State"]
    assert state["Health"]["Status"] == "healthy"
    code, said = service.run("sh", "-c", "NOYAU_LISTEN__ADDRESS=127.0.0.1:1 noyau health --timeout 1")
    assert code == 7, said


def test_a_job_gives_the_labels_of_a_run_without_containers(
    service: Service, stack: Any, image: str, truth: np.ndarray
) -> None:
    with Client(service.address) as client:
        result = client.result(client.submit(spec(image)).id)
        assert result.nuclei == truth.max()
    np.testing.assert_array_equal(labels_on(image, everything(stack)), truth)
    assert service.container.attrs["HostConfig"]["ReadonlyRootfs"] is True


class InTheMiddle:
    """A job that computes, watched from this machine through whatever happens to the service."""

    def __init__(self, service: Service, uri: str) -> None:
        self._client = Client(service.address)
        self.events: list[Event] = []
        self._ends: list[Job] = []
        self._computes = threading.Event()
        self.job = self._client.submit(spec(uri))
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        assert self._computes.wait(600), service.log()

    def _watch(self) -> None:
        for event in self._client.watch(self.job.id, patience=300):
            self.events.append(event)
            if event.kind is EventKind.PROGRESS and event.payload["done"] > 0:
                self._computes.set()
        self._ends.append(self._client.get(self.job.id))

    def end(self) -> Job:
        self._watcher.join(900)
        assert self._ends, "the job did not end"
        self._client.close()
        return self._ends[0]


def test_a_killed_container_goes_on_where_it_was(service: Service, stack: Any, image: str, truth: np.ndarray) -> None:
    job = InTheMiddle(service, image)
    service.container.kill("SIGKILL")
    assert service.wait_until_ended() == 137
    service.container.start()
    ended = job.end()
    assert (ended.state, ended.attempts) == (JobState.SUCCEEDED, 2)
    assert [event.seq for event in job.events] == list(range(1, len(job.events) + 1))
    np.testing.assert_array_equal(labels_on(image, everything(stack)), truth)


def test_a_stopped_container_puts_its_job_back_and_ends_in_order(
    service: Service, stack: Any, image: str, truth: np.ndarray
) -> None:
    job = InTheMiddle(service, image)
    service.container.kill("SIGTERM")
    assert service.wait_until_ended() == 0
    assert '"event": "stopped"' in service.log()
    service.container.start()
    assert job.end().state is JobState.SUCCEEDED
    np.testing.assert_array_equal(labels_on(image, everything(stack)), truth)


def test_a_drained_container_ends_its_job_first(stack: Any, image: str, truth: np.ndarray) -> None:
    with Service(stack.image, stack.network, {**SETTINGS, "NOYAU_JOBS__DRAIN_SECONDS": "900"}) as service:
        service.wait_until("healthy")
        job = InTheMiddle(service, image)
        service.container.kill("SIGTERM")
        assert service.wait_until_ended() == 0
        np.testing.assert_array_equal(labels_on(image, everything(stack)), truth)
        service.container.start()
        ended = job.end()
        assert (ended.state, ended.attempts) == (JobState.SUCCEEDED, 1)


def test_the_start_takes_so_long(service: Service, figure: Callable[[str, str], None]) -> None:
    service.container.stop(timeout=60)
    begun = time.monotonic()
    service.container.start()
    while not serves(service.address):
        assert time.monotonic() - begun < 300, service.log()
        time.sleep(0.05)
    figure("start", f"{time.monotonic() - begun:.1f} s until it takes jobs, on this machine as it is now")


def serves(address: str) -> bool:
    try:
        with Security().channel(address) as channel:
            return is_serving(channel, address, 1.0)
    except (Unavailable, DeadlineExceeded):
        return False


def test_a_database_that_is_not_there_is_named(stack: Any) -> None:
    settings = {**SETTINGS, "NOYAU_JOBS__DATABASE": "postgresql://noyau:secret7@nowhere:5432/noyau"}
    with Service(stack.image, stack.network, settings) as service:
        assert service.wait_until_ended() != 0
        assert "nowhere" in service.log()
        assert "secret7" not in service.log()


def test_nothing_is_left_behind(engine: Any, stack: Any) -> None:
    with Service(stack.image, stack.network, SETTINGS) as service:
        service.wait_until("healthy")
        volume, container = service.volume, service.container.id
    assert volume not in {one.name for one in engine.volumes.list()}
    assert container not in {one.id for one in engine.containers.list(all=True)}
