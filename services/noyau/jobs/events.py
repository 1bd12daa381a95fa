"""Events of a job: appended without gaps, read from any sequence number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from noyau.domain.errors import NotFound
from noyau.domain.jobs import Event, EventKind, JobError, JobState
from noyau.jobs.codec import dump
from noyau.jobs.database import Database
from noyau.jobs.rows import to_event
from noyau.jobs.schema import events, jobs


def append(connection: Connection, number: int, now_us: int, kind: EventKind, payload: Mapping[str, Any]) -> int:
    """Adds an event in the caller's transaction and returns its sequence number.

    The counter sits in the job's row, so its row lock puts writers in line and nobody sees a number before the one
    below it.
    """
    counted = sa.update(jobs).where(jobs.c.number == number).values(last_seq=jobs.c.last_seq + 1)
    seq = int(connection.execute(counted.returning(jobs.c.last_seq)).scalar_one())
    row = {"job_number": number, "seq": seq, "time_us": now_us, "kind": kind.value, "payload": dump(dict(payload))}
    connection.execute(sa.insert(events), row)
    return seq


def append_state(
    connection: Connection, number: int, now_us: int, state: JobState, *, error: JobError | None = None, **more: Any
) -> int:
    """Adds the event of a change of state."""
    payload: dict[str, Any] = {"state": state.value, **more}
    if error is not None:
        payload["error"] = {"kind": error.kind, "cause": error.cause, "remedy": error.remedy}
    return append(connection, number, now_us, EventKind.STATE, payload)


def read(database: Database, job_id: str, from_seq: int, limit: int) -> tuple[Event, ...]:
    """Up to `limit` events of a job with `seq >= from_seq`, in order.

    Raises:
        NotFound: there is no such job.
    """
    with database.reading() as connection:
        number = connection.scalar(sa.select(jobs.c.number).where(jobs.c.id == job_id))
        if number is None:
            raise NotFound(f"There is no job {job_id!r}.", "List the jobs to see their ids.")
        query = sa.select(events).where(events.c.job_number == number, events.c.seq >= from_seq)
        rows = connection.execute(query.order_by(events.c.seq).limit(limit)).all()
    return tuple(to_event(job_id, row) for row in rows)
