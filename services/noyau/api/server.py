"""The gRPC server: all services on one port, with health, reflection, limits and an orderly end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health  # type: ignore[attr-defined]
from grpc_reflection.v1alpha import reflection

from noyau.api.binding import Binding
from noyau.api.guard import Guard, Protection, Seen
from noyau.api.inference import InferenceServicer
from noyau.api.jobs import JobServicer
from noyau.api.models import ModelServicer
from noyau.api.ports import Desk, Jobs, ModelDesk, Preflight, Previewer
from noyau.api.preview import PreviewServicer
from noyau.api.threads import Threads
from noyau.oip import open_inference_pb2, open_inference_pb2_grpc
from noyau.v1 import jobs_pb2, jobs_pb2_grpc, models_pb2, models_pb2_grpc, preview_pb2, preview_pb2_grpc

# What a crop of the largest size needs beside its pixels; typed contents of small tensors fit as well.
MESSAGE_OVERHEAD = 2**20
METADATA_BYTES = 64 * 2**10
# Each of them waits for a process that opens a model's package.
SLOW_THREADS = 2


@dataclass(frozen=True)
class Services:
    """What the servicers work with."""

    jobs: Jobs
    models: ModelDesk
    previewer: Previewer
    preflight: Preflight
    desk: Desk | None = None


class ApiServer:
    """Serves until `stop`. Create and use it inside one event loop.

    Args:
        services: the real things behind the servicers.
        binding: where to listen.
        crop_bytes: largest crop of a preview.
        archive_bytes: largest model archive.
        concurrent_calls: calls served at once; more are refused with RESOURCE_EXHAUSTED.
        seen: told of every call that has ended.
        before: interceptors outside of the one that maps errors.
        protection: what is done about callers; the server closes it. By default everybody may do everything.
    """

    def __init__(
        self,
        services: Services,
        binding: Binding,
        *,
        crop_bytes: int,
        concurrent_calls: int,
        archive_bytes: int = 2 * 2**30,
        seen: Seen | None = None,
        before: Sequence[Any] = (),
        protection: Protection | None = None,
    ) -> None:
        self._protection = protection or Protection()
        self._threads = Threads()
        self._slow = Threads(SLOW_THREADS)
        self._draining = asyncio.Event()
        self._health = health.HealthServicer()
        self._server = grpc.aio.server(
            interceptors=[*before, Guard(seen or (lambda *_: None), self._protection, max(4, concurrent_calls // 4))],
            maximum_concurrent_rpcs=concurrent_calls,
            options=[
                ("grpc.max_receive_message_length", crop_bytes + MESSAGE_OVERHEAD),
                # Labels and probabilities of a crop of bytes are eight times as large.
                ("grpc.max_send_message_length", -1),
                # Two services must not share a port by accident.
                ("grpc.so_reuseport", 0),
                # Names and proofs of callers fit; a header of megabytes does not.
                ("grpc.max_metadata_size", METADATA_BYTES),
                ("grpc.absolute_max_metadata_size", METADATA_BYTES),
                # A connection that does not finish its handshake in this time is closed; by default it is two minutes.
                ("grpc.server_handshake_timeout_ms", 20_000),
                # Connections on which nothing is asked are closed; clients open new ones by themselves.
                ("grpc.max_connection_idle_ms", 900_000),
                # A client that vanished without a word is noticed, and its streams end.
                ("grpc.keepalive_time_ms", 30_000),
                ("grpc.keepalive_timeout_ms", 10_000),
                ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
                ("grpc.keepalive_permit_without_calls", 1),
            ],
        )
        self._names = self._register(services, crop_bytes, archive_bytes)
        self.address = binding.add_to(self._server)

    def _register(self, services: Services, crop_bytes: int, archive_bytes: int) -> tuple[str, ...]:
        server: Any = self._server
        jobs = JobServicer(
            services.jobs, services.models, services.preflight, self._threads, self._draining, services.desk
        )
        jobs_pb2_grpc.add_JobServiceServicer_to_server(jobs, server)
        models = ModelServicer(services.models, self._threads, self._slow, archive_bytes, services.desk)
        models_pb2_grpc.add_ModelServiceServicer_to_server(models, server)
        previews = PreviewServicer(services.previewer, crop_bytes)
        preview_pb2_grpc.add_PreviewServiceServicer_to_server(previews, server)
        inference = InferenceServicer(services.models, services.previewer, self._threads, self._draining, crop_bytes)
        open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(inference, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = tuple(
            module.DESCRIPTOR.services_by_name[name].full_name
            for module, name in (
                (jobs_pb2, "JobService"),
                (models_pb2, "ModelService"),
                (preview_pb2, "PreviewService"),
                (open_inference_pb2, "GRPCInferenceService"),
            )
        )
        reflection.enable_server_reflection(
            (*names, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME), server
        )
        return names

    async def start(self) -> None:
        """Begins to take calls."""
        await self._server.start()
        for name in self._names:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace: float) -> None:
        """Tells health watchers and Watch streams at once, lets other calls end within `grace` seconds."""
        self._draining.set()
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace)
        self._threads.close()
        self._slow.close()
        self._protection.close()
