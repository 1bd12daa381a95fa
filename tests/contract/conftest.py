"""A real gRPC server in this process, over a real job store and fakes for what computes."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from noyau.api.binding import Binding
from noyau.api.guard import Protection
from noyau.api.ports import PreviewOutcome, PreviewTask
from noyau.api.preflight import Checks
from noyau.api.server import ApiServer, Services
from noyau.client import Client
from noyau.domain.access import AccessPolicy
from noyau.domain.catalogue import Catalogue, ModelEntry, Origin
from noyau.domain.errors import FailedPrecondition, NotFound
from noyau.domain.geometry import VoxelSize
from noyau.domain.model import ModelInfo
from noyau.jobs.store import JobStore

# The forger of tokens; pytest's importlib mode leaves sys.path alone.
sys.path.insert(0, str(Path(__file__).parents[1] / "forging"))

CROP_BYTES = 2**20
ARCHIVE_BYTES = 3 * 2**20


def model_info(name: str = "nuclei-3d", ndim: int = 3) -> ModelInfo:
    return ModelInfo(
        name=name,
        version="1",
        digest="sha256:00",
        ndim=ndim,
        architecture="vote-unet",
        arguments={"levels": [1, 2], "scale": 0.5},
        voxel_size=VoxelSize(1.75, 0.8, 0.8),
        diameter=13.5,
        halo=(12, 32, 32),
        stride=(2, 4, 4),
        tile=(32, 128, 128),
        metrics={"f1": 0.9},
    )


class FakeModels:
    def __init__(self) -> None:
        self.infos = [model_info("nuclei-2d", 2), model_info()]

    def list(self) -> list[ModelInfo]:
        return self.infos

    def get(self, ref: str) -> ModelInfo:
        for info in self.infos:
            if ref in (info.name, info.ref):
                return info
        raise NotFound(f"There is no model '{ref}'.", "Known models: nuclei-2d@1, nuclei-3d@1.")

    def catalogue(self) -> Catalogue:
        return Catalogue(tuple(ModelEntry(info, Origin.SHIPPED) for info in self.infos))

    def entry(self, ref: str) -> ModelEntry:
        return ModelEntry(self.get(ref), Origin.SHIPPED)


@dataclass
class FakePreviewer:
    """Labels are the voxels above 0; `block` makes it wait until the call is cancelled."""

    tasks: list[PreviewTask] = field(default_factory=list)
    block: bool = False
    failure: Exception | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)

    async def preview(self, task: PreviewTask) -> PreviewOutcome:
        self.tasks.append(task)
        self.started.set()
        if self.failure is not None:
            raise self.failure
        if self.block:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        found = task.image > 0
        return PreviewOutcome(
            task.model or "nuclei-3d@1",
            found.astype(np.uint32) if task.labels else None,
            found.astype(np.float32) / 2 if task.probability else None,
            "sha256:00",
        )


@dataclass
class RunningApi:
    """What a test can look at and turn on a running server."""

    address: str
    store: JobStore
    previewer: FakePreviewer
    stop: Callable[[], None]

    def client(self, token: str | None = None) -> Client:
        return Client(self.address, timeout=10.0, token=token)


class ServerThread:
    """Runs an `ApiServer` on a loop of its own until `stop`."""

    def __init__(
        self, services: Services, address: str, concurrent_calls: int, protection: Protection | None = None
    ) -> None:
        self.address = ""
        self._arguments = (services, address, concurrent_calls)
        self._protection = protection
        self._ready = threading.Event()
        self._stopping: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._ready.wait(20), "the server did not start"

    async def _serve(self) -> None:
        services, address, calls = self._arguments
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        server = ApiServer(
            services,
            Binding(address),
            crop_bytes=CROP_BYTES,
            concurrent_calls=calls,
            archive_bytes=ARCHIVE_BYTES,
            protection=self._protection,
        )
        await server.start()
        self.address = server.address
        self._ready.set()
        await self._stopping.wait()
        await server.stop(0.5)

    def stop(self) -> None:
        if self._thread.is_alive() and self._loop is not None and self._stopping is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()


def refuse_cuda(device: str, backend: str) -> None:
    if device.startswith("cuda"):
        raise FailedPrecondition(f"The device {device} was asked for, but this machine has no usable GPU.")


@pytest.fixture
def fake_models() -> FakeModels:
    """What a server serves where a test names nothing else."""
    return FakeModels()


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """The only folder that the server may touch, with one (empty) image in it."""
    folder = tmp_path / "images"
    (folder / "a.ome.zarr").mkdir(parents=True)
    return folder


@pytest.fixture
def start_api(tmp_path: Path, image_folder: Path) -> Iterator[Callable[..., RunningApi]]:
    """Starts servers over one store; a test may stop one and start another on the same address."""
    stores: list[JobStore] = []
    threads: list[ServerThread] = []

    def start(
        address: str = "127.0.0.1:0",
        concurrent_calls: int = 64,
        models: Any = None,
        protection: Callable[[JobStore], Protection] | None = None,
    ) -> RunningApi:
        store = JobStore.open(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
        stores.append(store)
        models, previewer = models or FakeModels(), FakePreviewer()
        checks = Checks(models, AccessPolicy((str(image_folder),)), refuse_cuda, 100, 1_000_000)
        services = Services(store, models, previewer, checks)
        thread = ServerThread(services, address, concurrent_calls, protection(store) if protection else None)
        threads.append(thread)
        return RunningApi(thread.address, store, previewer, thread.stop)

    yield start
    for thread in threads:
        thread.stop()
    for store in stores:
        store.close()


@pytest.fixture
def api(start_api: Callable[..., RunningApi]) -> RunningApi:
    return start_api()
