"""The client: domain values in and out, failures as the same errors that the service raised."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import grpc
import numpy as np

from noyau.api.wire.errors import error_from_rpc, seconds_to_wait
from noyau.api.wire.images import voxel_size_to_wire
from noyau.api.wire.jobs import job_from_wire, state_to_wire
from noyau.api.wire.pixels import pixels_from_wire, pixels_to_wire
from noyau.api.wire.specs import spec_to_wire
from noyau.client.model_calls import ModelCalls
from noyau.client.proofs import Proofs, TokenSource
from noyau.client.security import Security
from noyau.client.tracing import ClientTracing
from noyau.client.watching import Watcher
from noyau.domain.errors import InternalError, InvalidInput, error_from_kind
from noyau.domain.geometry import VoxelSize
from noyau.domain.jobs import Event, Job, JobResult, JobSpec, JobState
from noyau.domain.model import ModelInfo
from noyau.domain.tracing import SilentTracer, Tracer
from noyau.v1 import jobs_pb2, jobs_pb2_grpc, models_pb2_grpc, preview_pb2, preview_pb2_grpc

Answer = TypeVar("Answer")

# A service that is asked too often says when to come back.
ATTEMPTS = 5
LONGEST_WAIT = 10.0


@dataclass(frozen=True)
class Page:
    """Jobs, newest first, and the token of the next page (empty on the last)."""

    jobs: tuple[Job, ...]
    next_token: str


@dataclass(frozen=True)
class Preview:
    """What came of a crop, z/y/x: uint32 labels 0..n and float32 probabilities, None where not asked for; and the
    model's name@version with the digest of its weights."""

    model: str
    nuclei: int
    labels: np.ndarray | None
    probability: np.ndarray | None
    digest: str = ""


class Client:
    """Talks to one service. Safe to use from several threads; use it as a context manager, or call `close`.

    All methods raise the `NoyauError` that the service raised, `Unavailable` when it cannot be reached, and
    `DeadlineExceeded` when it does not answer within `timeout`.

    Args:
        target: `host:port` or `unix:/path`.
        security: TLS, if any.
        timeout: seconds for one call (not for `watch` and `wait`); previews get `preview_timeout`.
        preview_timeout: seconds for one preview, the start of the preview process included.
        tracer: records calls as spans (`noyau.operations.traces`); by default nothing does, but the service continues
            the trace that the calling program is in.
        omero: alias of an OMERO server and the key of the caller's session there; jobs are then that user's. It is
            sent with every call, so a service on another machine must be reached by TLS.
        token: a bearer token, or a function that gives the one of the moment (`TokenFile`); the same holds for it.
    """

    def __init__(
        self,
        target: str,
        *,
        security: Security | None = None,
        timeout: float = 120.0,
        preview_timeout: float = 600.0,
        tracer: Tracer | None = None,
        omero: tuple[str, str] | None = None,
        token: str | TokenSource | None = None,
    ) -> None:
        self.target = target
        self._proofs = Proofs(target, security or Security(), omero, token)
        self._timeout = timeout
        self._preview_timeout = preview_timeout
        channel = (security or Security()).channel(target)
        self._channel = grpc.intercept_channel(channel, ClientTracing(tracer or SilentTracer()))
        self._jobs = jobs_pb2_grpc.JobServiceStub(self._channel)
        self._registry = ModelCalls(models_pb2_grpc.ModelServiceStub(self._channel), target, self._call, self._proofs)
        self._previews = preview_pb2_grpc.PreviewServiceStub(self._channel)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def submit(
        self, spec: JobSpec, *, owner: str = "", group: str = "", priority: int = 0, idempotency_key: str = ""
    ) -> Job:
        """Puts a job into the queue. The same key and spec again give the job that is there already."""
        request = _message(
            lambda: jobs_pb2.SubmitJobRequest(
                spec=spec_to_wire(spec), owner=owner, group=group, priority=priority, idempotency_key=idempotency_key
            )
        )
        return job_from_wire(self._call(self._jobs.Submit, request).job)

    def get(self, job_id: str) -> Job:
        """The job as it is now. Raises NotFound."""
        return job_from_wire(self._call(self._jobs.Get, jobs_pb2.GetJobRequest(job_id=job_id)).job)

    def list(
        self,
        *,
        states: tuple[JobState, ...] = (),
        owner: str = "",
        group: str = "",
        task: str = "",
        page_size: int = 50,
        page_token: str = "",
    ) -> Page:
        """One page of jobs, newest first. Empty filters match all."""
        request = _message(
            lambda: jobs_pb2.ListJobsRequest(
                states=[state_to_wire(state) for state in states],
                owner=owner,
                group=group,
                task=task,
                page_size=page_size,
                page_token=page_token,
            )
        )
        answer = self._call(self._jobs.List, request)
        return Page(tuple(job_from_wire(job) for job in answer.jobs), answer.next_page_token)

    def watch(self, job_id: str, *, after: int = 0, follow: bool = True, patience: float = 60.0) -> Iterator[Event]:
        """Events with a sequence number above `after`, until the job has ended.

        Goes on where it was when the connection or the service was lost, for up to `patience` seconds at a time.

        Args:
            job_id: the job.
            after: sequence number of the last event already seen.
            follow: False ends after the events that exist now.
            patience: how long to try to reach a service that does not answer.
        """
        return Watcher(self._jobs, self.target, patience, self._proofs).events(job_id, after, follow)

    def wait(self, job_id: str, on_event: Callable[[Event], None] = lambda event: None) -> Job:
        """Watches the job to its end and returns it, whatever the end is."""
        for event in self.watch(job_id):
            on_event(event)
        return self.get(job_id)

    def result(self, job_id: str) -> JobResult:
        """Waits for the job and returns its result; raises the error that it ended with."""
        return result_of(self.wait(job_id))

    def cancel(self, job_id: str) -> Job:
        """Asks the job to stop; returns when it has, or after two seconds.

        Raises NotFound, and FailedPrecondition where it has succeeded or failed already.
        """
        return job_from_wire(self._call(self._jobs.Cancel, jobs_pb2.CancelJobRequest(job_id=job_id)).job)

    @property
    def registry(self) -> ModelCalls:
        """Versions and aliases of models: register, promote, roll back, export."""
        return self._registry

    def models(self) -> tuple[ModelInfo, ...]:
        """All models of the service that can be used."""
        return tuple(entry.info for entry in self._registry.catalogue().entries)

    def model(self, ref: str) -> ModelInfo:
        """One model by `name`, `name@version` or `name@alias`. Raises NotFound."""
        return self._registry.entry(ref).info

    def preview(
        self,
        image: np.ndarray,
        *,
        voxel_size: VoxelSize | None = None,
        model: str | None = None,
        labels: bool = True,
        probability: bool = False,
        device: str = "auto",
        foreground: float | None = None,
        min_volume: float | None = None,
    ) -> Preview:
        """Segments a crop, (z, y, x) or (y, x), of at most 64 MiB; see `PreviewTask` for the arguments."""
        request = _message(
            lambda: preview_pb2.PreviewRequest(
                image=pixels_to_wire(image),
                voxel_size=voxel_size_to_wire(voxel_size),
                model=model,
                skip_labels=not labels,
                want_probability=probability,
                device=device,
                foreground=foreground,
                min_volume=min_volume,
            )
        )
        answer = self._call(self._previews.Preview, request, self._preview_timeout)
        return Preview(
            model=answer.model,
            nuclei=answer.nuclei,
            labels=pixels_from_wire(answer.labels) if answer.HasField("labels") else None,
            probability=pixels_from_wire(answer.probability) if answer.HasField("probability") else None,
            digest=answer.model_digest,
        )

    def _call(self, method: Callable[..., Answer], request: Any, timeout: float | None = None) -> Answer:
        """Makes a call; where the service asks for patience, again after it, unless the request is a stream."""
        for attempt in range(ATTEMPTS):
            try:
                return method(request, timeout=timeout or self._timeout, metadata=self._proofs())
            except grpc.RpcError as error:
                wait = seconds_to_wait(error)
                again = wait is not None and wait <= LONGEST_WAIT and attempt < ATTEMPTS - 1
                if wait is None or not again or isinstance(request, Iterator):
                    raise error_from_rpc(error, self.target) from error
                # Not all callers that were told to wait should come back in the same moment.
                time.sleep(wait * random.uniform(1.0, 1.5))
        raise InternalError("A call was neither answered nor refused.")


def result_of(job: Job) -> JobResult:
    """The result of an ended job; raises the error that it ended with."""
    if job.state is JobState.SUCCEEDED and job.result is not None:
        return job.result
    if job.state is JobState.CANCELLED:
        raise error_from_kind("CANCELLED", f"Job {job.id} was cancelled.")
    if job.error is not None:
        raise error_from_kind(job.error.kind, job.error.cause, job.error.remedy)
    raise InternalError(f"Job {job.id} is {job.state.value} and has no result.")


def _message(build: Callable[[], Answer]) -> Answer:
    """Builds a message; a number that does not fit into its field is the caller's mistake."""
    try:
        return build()
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"The request cannot be sent: {error}.") from error
