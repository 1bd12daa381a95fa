"""Rows of the store as domain values."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row

from noyau.domain.jobs import Event, EventKind, Job, JobState
from noyau.jobs import codec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_time(microseconds: int | None) -> datetime | None:
    """An aware UTC time, exact to the microsecond (a float would not be)."""
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)


def from_time(time: datetime) -> int:
    """Microseconds since 1970 UTC; a time without a zone is taken as UTC."""
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def to_job(row: Row[Any]) -> Job:
    """A row of the table `jobs`."""
    return Job(
        id=row.id,
        spec=codec.decode_spec(row.kind, row.spec),
        state=JobState(row.state),
        owner=row.owner,
        group=row.group_name,
        priority=row.priority,
        idempotency_key=row.idempotency_key or "",
        attempts=row.attempts,
        created=to_time(row.created_us),
        started=to_time(row.started_us),
        finished=to_time(row.finished_us),
        cancel_requested=row.cancel_us is not None,
        error=codec.decode_error(row.error),
        result=codec.decode_result(row.result),
        trace=row.trace or "",
    )


def to_event(job_id: str, row: Row[Any]) -> Event:
    """A row of the table `events`."""
    return Event(
        job_id=job_id,
        seq=row.seq,
        time=_EPOCH + timedelta(microseconds=row.time_us),
        kind=EventKind(row.kind),
        payload=json.loads(row.payload),
    )
