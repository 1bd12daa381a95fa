"""JobService: the queue over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from noyau.api import identities
from noyau.api.call import Call
from noyau.api.ports import Desk, Jobs, ModelDesk, Preflight
from noyau.api.threads import Threads
from noyau.api.training_rights import check_training
from noyau.api.wire.events import event_to_wire
from noyau.api.wire.jobs import job_to_wire, state_from_wire, time_from_wire
from noyau.api.wire.specs import spec_from_wire
from noyau.domain.errors import InvalidInput, OutOfRange, Unavailable
from noyau.domain.jobs import Event, EventKind, Job, JobState, inputs_of
from noyau.domain.training_jobs import TrainSpec
from noyau.jobs.listing import JobFilter, no_such_job
from noyau.v1 import jobs_pb2, jobs_pb2_grpc

DEFAULT_PAGE = 50

# Seconds between looks at the store while a watched job is silent: quick at first, then sparing.
POLL_FIRST = 0.05
POLL_LAST = 0.5
EVENTS_PER_LOOK = 500

# Cancel answers when the job has stopped, or after this many seconds.
CANCEL_WAIT = 2.0
CANCEL_POLL = 0.05


class JobServicer(jobs_pb2_grpc.JobServiceServicer):
    """Translates messages; decisions are the store's and the preflight's."""

    def __init__(
        self,
        jobs: Jobs,
        models: ModelDesk,
        preflight: Preflight,
        threads: Threads,
        draining: asyncio.Event,
        desk: Desk | None = None,
    ) -> None:
        self._jobs = jobs
        self._models = models
        self._desk = desk
        self._preflight = preflight
        self._threads = threads
        self._draining = draining

    async def Submit(self, request: jobs_pb2.SubmitJobRequest, context: Any) -> jobs_pb2.SubmitJobResponse:
        spec = spec_from_wire(request.spec)
        await self._threads.run(self._preflight.check, spec)
        if isinstance(spec, TrainSpec):
            await self._threads.run(check_training, context.caller, self._models, spec)
        caller = await self._threads.run(identities.identify, self._desk, context, request.owner, request.group)
        await self._threads.run(identities.check, self._desk, caller, inputs_of(spec))
        job = await self._threads.run(
            self._jobs.submit,
            spec,
            owner=caller.owner,
            group=caller.group,
            priority=request.priority,
            idempotency_key=request.idempotency_key,
        )
        return jobs_pb2.SubmitJobResponse(job=job_to_wire(job))

    async def Get(self, request: jobs_pb2.GetJobRequest, context: Any) -> jobs_pb2.GetJobResponse:
        return jobs_pb2.GetJobResponse(job=job_to_wire(await self._get(request.job_id, context)))

    async def List(self, request: jobs_pb2.ListJobsRequest, context: Any) -> jobs_pb2.ListJobsResponse:
        wanted = JobFilter(
            states=tuple(state_from_wire(state) for state in request.states),
            owner=request.owner or None,
            group=request.group or None,
            kind=request.task or None,
            created_from=time_from_wire(request.created_from) if request.HasField("created_from") else None,
            created_before=time_from_wire(request.created_before) if request.HasField("created_before") else None,
            sight=context.caller.sight,
        )
        page = await self._threads.run(
            self._jobs.list, wanted, page_size=request.page_size or DEFAULT_PAGE, page_token=request.page_token
        )
        return jobs_pb2.ListJobsResponse(jobs=[job_to_wire(job) for job in page.jobs], next_page_token=page.next_token)

    async def Watch(
        self, request: jobs_pb2.WatchJobRequest, context: Any
    ) -> AsyncGenerator[jobs_pb2.WatchJobResponse, None]:
        after = request.after_seq
        await self._check_position(request.job_id, after, context)
        wait = POLL_FIRST
        while True:
            # The state is read before the events: a job that had ended by then has all its events in the store.
            ended = (await self._get(request.job_id, context)).state.is_final
            events = await self._threads.run(self._jobs.events_since, request.job_id, after + 1, EVENTS_PER_LOOK)
            for event in events:
                yield jobs_pb2.WatchJobResponse(event=event_to_wire(event))
                after = event.seq
            if _is_last(events) or (not events and (ended or request.no_follow)):
                return
            wait = POLL_FIRST if events else min(2 * wait, POLL_LAST)
            if len(events) < EVENTS_PER_LOOK and not request.no_follow:
                await self._pause(wait)

    async def Cancel(self, request: jobs_pb2.CancelJobRequest, context: Any) -> jobs_pb2.CancelJobResponse:
        deadline = asyncio.get_running_loop().time() + CANCEL_WAIT
        await self._get(request.job_id, context)
        job = await self._threads.run(self._jobs.request_cancel, request.job_id)
        while not job.state.is_final and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(CANCEL_POLL)
            job = await self._get(request.job_id, context)
        return jobs_pb2.CancelJobResponse(job=job_to_wire(job))

    async def _get(self, job_id: str, context: Any) -> Job:
        """The job; one that the caller must not know of is as absent as one that does not exist."""
        job = await self._threads.run(self._jobs.get, _identifier(job_id))
        if not context.caller.may_see(job.owner, job.group):
            raise no_such_job(job_id)
        return job

    async def _check_position(self, job_id: str, after: int, context: Call) -> None:
        await self._get(job_id, context)
        if after == 0:
            return
        known = await self._threads.run(self._jobs.events_since, job_id, after, 1) if after > 0 else ()
        if not known:
            raise OutOfRange(
                f"Job {job_id} has no event {after} to go on from.", "Give a number that Watch has sent, or 0."
            )

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._draining.wait(), seconds)
        except TimeoutError:
            return
        raise Unavailable("The service is stopping.", "Watch again from the last number when it is back.")


def _identifier(job_id: str) -> str:
    if not job_id:
        raise InvalidInput("The request names no job.", "Give the identifier that Submit returned.")
    return job_id


def _is_last(events: Any) -> bool:
    if not events:
        return False
    last: Event = events[-1]
    return last.kind is EventKind.STATE and JobState(last.payload["state"]).is_final
