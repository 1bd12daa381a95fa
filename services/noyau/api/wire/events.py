"""Events of a job on the wire: one message type per kind, with the payload keys that `domain.jobs.Event` names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noyau.api.wire.jobs import state_from_wire, state_to_wire, time_from_wire, time_to_wire
from noyau.domain.errors import InvalidInput
from noyau.domain.jobs import Event, EventKind, JobState
from noyau.v1 import jobs_pb2


def event_to_wire(event: Event) -> jobs_pb2.JobEvent:
    message = jobs_pb2.JobEvent(job_id=event.job_id, seq=event.seq, time=time_to_wire(event.time))
    payload = event.payload
    match event.kind:
        case EventKind.STATE:
            message.state.CopyFrom(_state_to_wire(payload))
        case EventKind.STAGE:
            message.stage.CopyFrom(jobs_pb2.StageEvent(name=payload["name"]))
        case EventKind.PROGRESS:
            message.progress.CopyFrom(
                jobs_pb2.ProgressEvent(
                    stage=payload.get("stage", ""),
                    done=payload["done"],
                    total=payload["total"],
                    unit=payload.get("unit", ""),
                )
            )
        case EventKind.METRIC:
            message.metric.CopyFrom(jobs_pb2.MetricEvent(name=payload["name"], value=payload["value"]))
        case EventKind.LOG:
            message.log.CopyFrom(jobs_pb2.LogEvent(level=payload.get("level", "info"), message=payload["message"]))
    return message


def event_from_wire(message: jobs_pb2.JobEvent) -> Event:
    """Raises InvalidInput for a payload that this version does not know."""
    which = message.WhichOneof("payload")
    if which is None:
        raise InvalidInput(
            f"Event {message.seq} of job {message.job_id} is of a kind that this client does not know.",
            "Use a client as new as the service.",
        )
    payload: dict[str, Any]
    match which:
        case "state":
            payload = _state_from_wire(message.state)
        case "stage":
            payload = {"name": message.stage.name}
        case "progress":
            progress = message.progress
            payload = {
                "stage": progress.stage,
                "done": progress.done,
                "total": progress.total,
                "unit": progress.unit,
            }
        case "metric":
            payload = {"name": message.metric.name, "value": message.metric.value}
        case "log":
            payload = {"level": message.log.level, "message": message.log.message}
    return Event(message.job_id, message.seq, time_from_wire(message.time), EventKind(which), payload)


def _state_to_wire(payload: Mapping[str, Any]) -> jobs_pb2.StateEvent:
    error = payload.get("error")
    return jobs_pb2.StateEvent(
        state=state_to_wire(JobState(payload["state"])),
        attempt=payload.get("attempt", 0),
        error=jobs_pb2.JobError(**{key: error.get(key, "") for key in ("kind", "cause", "remedy")}) if error else None,
    )


def _state_from_wire(message: jobs_pb2.StateEvent) -> dict[str, Any]:
    payload: dict[str, Any] = {"state": state_from_wire(message.state).value}
    if message.attempt:
        payload["attempt"] = message.attempt
    if message.HasField("error"):
        error = message.error
        payload["error"] = {"kind": error.kind, "cause": error.cause, "remedy": error.remedy}
    return payload
