"""Jobs, their results and their states on the wire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from google.protobuf.timestamp_pb2 import Timestamp

from noyau.api.wire.specs import spec_from_wire, spec_to_wire
from noyau.domain.errors import InvalidInput
from noyau.domain.jobs import ImageResult, Job, JobError, JobResult, JobState
from noyau.v1 import jobs_pb2

STATE_PREFIX = "JOB_STATE_"


def state_to_wire(state: JobState) -> jobs_pb2.JobState:
    return cast("jobs_pb2.JobState", jobs_pb2.JobState.Value(STATE_PREFIX + state.value))


def state_from_wire(value: int) -> JobState:
    """Raises InvalidInput for a number that is no state."""
    if value == jobs_pb2.JOB_STATE_UNSPECIFIED or value not in jobs_pb2.JobState.values():
        raise InvalidInput(f"{value} is no state of a job.", "Use the values of noyau.v1.JobState.")
    return JobState(jobs_pb2.JobState.Name(value).removeprefix(STATE_PREFIX))


def time_to_wire(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time.astimezone(UTC))
    return message


def time_from_wire(message: Timestamp) -> datetime:
    """Raises InvalidInput for a time that no calendar has."""
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            f"{message.seconds} s and {message.nanos} ns after 1970 are no time.", "Give one of the years 1 to 9999."
        ) from error


def error_to_wire(error: JobError | None) -> jobs_pb2.JobError | None:
    return None if error is None else jobs_pb2.JobError(kind=error.kind, cause=error.cause, remedy=error.remedy)


def error_from_wire(message: jobs_pb2.JobError) -> JobError:
    return JobError(message.kind, message.cause, message.remedy)


def result_to_wire(result: JobResult | None) -> jobs_pb2.JobResult | None:
    if result is None:
        return None
    return jobs_pb2.JobResult(
        images=[
            jobs_pb2.ImageResult(
                uri=image.uri,
                labels_uri=image.labels_uri,
                table_uri=image.table_uri,
                overview_uri=image.overview_uri,
                provenance_uri=image.provenance_uri,
                nuclei=image.nuclei,
                median_volume_um3=image.median_volume_um3,
                flat=image.flat,
            )
            for image in result.images
        ],
        nuclei=result.nuclei,
        median_volume_um3=result.median_volume_um3,
        model=result.model,
        model_digest=result.model_digest,
        warnings=result.warnings,
        models=result.models,
        files=result.files,
    )


def result_from_wire(message: jobs_pb2.JobResult) -> JobResult:
    return JobResult(
        images=tuple(
            ImageResult(
                uri=image.uri,
                labels_uri=image.labels_uri,
                table_uri=image.table_uri,
                overview_uri=image.overview_uri,
                provenance_uri=image.provenance_uri,
                nuclei=image.nuclei,
                median_volume_um3=image.median_volume_um3,
                flat=image.flat,
            )
            for image in message.images
        ),
        nuclei=message.nuclei,
        median_volume_um3=message.median_volume_um3,
        model=message.model,
        model_digest=message.model_digest,
        warnings=tuple(message.warnings),
        models=tuple(message.models),
        files=tuple(message.files),
    )


def job_to_wire(job: Job) -> jobs_pb2.Job:
    return jobs_pb2.Job(
        id=job.id,
        spec=spec_to_wire(job.spec),
        state=state_to_wire(job.state),
        owner=job.owner,
        group=job.group,
        priority=job.priority,
        idempotency_key=job.idempotency_key,
        attempts=job.attempts,
        created=time_to_wire(job.created),
        started=time_to_wire(job.started),
        finished=time_to_wire(job.finished),
        cancel_requested=job.cancel_requested,
        error=error_to_wire(job.error),
        result=result_to_wire(job.result),
    )


def job_from_wire(message: jobs_pb2.Job) -> Job:
    return Job(
        id=message.id,
        spec=spec_from_wire(message.spec),
        state=state_from_wire(message.state),
        owner=message.owner,
        group=message.group,
        priority=message.priority,
        idempotency_key=message.idempotency_key,
        attempts=message.attempts,
        created=time_from_wire(message.created) if message.HasField("created") else None,
        started=time_from_wire(message.started) if message.HasField("started") else None,
        finished=time_from_wire(message.finished) if message.HasField("finished") else None,
        cancel_requested=message.cancel_requested,
        error=error_from_wire(message.error) if message.HasField("error") else None,
        result=result_from_wire(message.result) if message.HasField("result") else None,
    )
