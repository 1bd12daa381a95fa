"""Composition root: the only place where settings meet the store, the workers, the servicers and the pipelines."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable

import structlog

from noyau.api.open_files import allow_many
from noyau.api.preflight import Checks
from noyau.api.server import ApiServer, Services
from noyau.api.sidecar import Sidecar
from noyau.api.tracing import Tracing
from noyau.config import Settings, settings_to_json
from noyau.domain.errors import FailedPrecondition
from noyau.domain.jobs import JobState
from noyau.domain.tracing import Tracer
from noyau.jobs.config import WorkerConfig
from noyau.jobs.forgetting import Forgetter
from noyau.jobs.listing import JobFilter
from noyau.jobs.naming import HeldName, hold_name
from noyau.jobs.settings import JobTimes
from noyau.jobs.store import JobStore
from noyau.jobs.supervisor import Supervisor
from noyau.omero.desk import OmeroDesk
from noyau.operations.gpu_figures import GpuFigures, Gpus
from noyau.operations.job_figures import JobFigures, tallies_of
from noyau.operations.metrics_server import MetricsServer
from noyau.operations.service_figures import RpcFigures, WorkerFigures, new_registry
from noyau.operations.starting import check_start
from noyau.operations.traces import build_tracer
from noyau.spreading import device_check, prepared_work_folder
from noyau.wiring import access_policy, model_desk, omero_gateway
from noyau.wiring_auth import binding_of, job_limits, protection

HANDLERS = "noyau.handlers:build_handlers"
PREVIEWS = "noyau.handlers:build_preview"
TRACER = "noyau.operations.traces:build_worker_tracer"

_TIDY_POLL = 0.05


class Service:
    """Store, workers and gRPC server of one coordinator. Use `start` and `stop` inside one event loop."""

    def __init__(self, settings: Settings, *, warm: bool = True) -> None:
        """See the class.

        Args:
            settings: everything that can be set.
            warm: workers import what segmentation needs before their first job instead of with it.
        """
        self._settings = settings
        self._warm = warm
        self._store: JobStore | None = None
        self._name: HeldName | None = None
        self._supervisor: Supervisor | None = None
        self._previews: Sidecar | None = None
        self._api: ApiServer | None = None
        self._metrics: MetricsServer | None = None
        self._forgetter: Forgetter | None = None
        self._tracer: Tracer | None = None

    @property
    def metrics_address(self) -> str:
        """Where figures for Prometheus are served, with the real port; empty where they are not."""
        return self._metrics.address if self._metrics is not None else ""

    @property
    def address(self) -> str:
        """Where the service listens, with the real port."""
        return self._api.address if self._api is not None else self._settings.listen.address

    @property
    def name(self) -> str:
        """What this coordinator is called among those of its database."""
        return self._name.name if self._name is not None else ""

    async def start(self) -> None:
        """Opens the store, the port and the workers; undoes all of it where one fails.

        Raises:
            FailedPrecondition: the address may not or cannot be listened on.
            NoyauError: the store cannot be opened.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        settings = self._settings
        listen = settings.listen
        binding = binding_of(settings)
        settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        limits = job_limits(settings)
        self._store = await asyncio.to_thread(JobStore.open, settings.database_url, limits)
        self._name = await asyncio.to_thread(hold_name, self._store.database, settings.jobs.name)
        models = model_desk(settings)
        omero = omero_gateway(settings)
        desk = OmeroDesk(omero) if omero else None
        self._previews = Sidecar(PREVIEWS, settings_to_json(settings), settings.limits.previews_waiting)
        checks = Checks(
            models, access_policy(settings), device_check(settings), settings.limits.images, settings.limits.tile_voxels
        )
        registry = new_registry()
        self._tracer = build_tracer(settings.traces, "coordinator")
        self._api = ApiServer(
            Services(self._store, models, self._previews, checks, desk),
            binding,
            crop_bytes=listen.message_mib * 2**20,
            concurrent_calls=listen.concurrent_calls,
            archive_bytes=settings.limits.archive_mib * 2**20,
            seen=RpcFigures(registry).seen,
            before=(Tracing(self._tracer),),
            protection=protection(settings, self._store, desk),
        )
        config = WorkerConfig(
            database=settings.database_url,
            workdir=str(prepared_work_folder(settings)),
            handlers=HANDLERS,
            handler_settings={"settings": settings_to_json(settings), "warm": self._warm},
            limits=limits,
            times=JobTimes(lease=settings.jobs.lease_seconds),
            tracer=TRACER if settings.traces.endpoint is not None else "",
        )
        self._supervisor = Supervisor(self._store, config, settings.jobs.workers).start()
        if settings.metrics.address is not None:
            registry.register(JobFigures(self._store.database))
            registry.register(WorkerFigures(self._supervisor.status))
            registry.register(GpuFigures(Gpus()))
            self._metrics = MetricsServer(settings.metrics.address, registry).start()
        self._forgetter = _forgetter(settings, self._store)
        await self._api.start()

    async def wind_up(self, patience: float) -> bool:
        """Cancels what has not ended and waits until nothing half-written is left.

        Args:
            patience: seconds to wait at most.

        Returns:
            whether all jobs have ended and been tidied up.
        """
        if self._store is None:
            return True
        deadline = time.monotonic() + patience
        while not await asyncio.to_thread(_is_wound_up, self._store):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_TIDY_POLL)
        return True

    async def stop(self, grace: float = 0.0) -> None:
        """Ends calls and workers. Running jobs get the time that the settings give them (`jobs.drain_seconds`), then
        go back into the queue; a later start resumes them.

        Args:
            grace: seconds that running calls get.
        """
        # At once: from now on no worker takes a new job.
        workers = asyncio.create_task(self._stop_workers())
        if self._api is not None:
            await self._api.stop(grace)
        await workers
        # To the last, so that an operator sees what the stop waits for.
        if self._metrics is not None:
            await asyncio.to_thread(self._metrics.close)
        if self._previews is not None:
            await self._previews.close()
        if self._forgetter is not None:
            await asyncio.to_thread(self._forgetter.stop)
        if self._name is not None:
            self._name.close()
        if self._store is not None:
            self._store.close()
        if self._tracer is not None:
            await asyncio.to_thread(self._tracer.close)

    async def _stop_workers(self) -> None:
        if self._supervisor is not None:
            await asyncio.to_thread(self._supervisor.stop, self._settings.jobs.drain_seconds)


def _forgetter(settings: Settings, store: JobStore) -> Forgetter | None:
    """Forgets old jobs from now on; None where all are kept."""
    if settings.jobs.keep_days is None:
        return None
    keep, workdir = settings.jobs.keep_days * 86_400, settings.state_dir / "work"
    return Forgetter(store.database, workdir, tallies_of(store.database), keep).start()


def _is_wound_up(store: JobStore) -> bool:
    """Asks all jobs to stop that have not ended; True when there were none and nothing half-written is left."""
    unfinished = store.list(JobFilter(states=(JobState.QUEUED, JobState.RUNNING)), page_size=1000).jobs
    for job in unfinished:
        # It may have ended meanwhile.
        with contextlib.suppress(FailedPrecondition):
            store.request_cancel(job.id)
    return not unfinished and store.leftovers() == 0


def serve(settings: Settings, ready: Callable[[str], None] = lambda address: None) -> None:
    """Runs the service until SIGTERM or SIGINT.

    Args:
        settings: everything that can be set.
        ready: called with the address when calls are taken.
    """
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_serve(settings, ready))


async def _serve(settings: Settings, ready: Callable[[str], None]) -> None:
    log = structlog.get_logger("noyau")
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await asyncio.to_thread(check_start, settings)
    allow_many()
    service = Service(settings)
    await service.start()
    try:
        where = {"address": service.address, "metrics": service.metrics_address, "state": str(settings.state_dir)}
        log.info("serving", name=service.name, workers=settings.jobs.workers, **where)
        ready(service.address)
        await stopping.wait()
        log.info("stopping", drain_seconds=settings.listen.drain_seconds, jobs_seconds=settings.jobs.drain_seconds)
    finally:
        await service.stop(settings.listen.drain_seconds)
    log.info("stopped")
