"""Submit: a spec becomes a durable job, once per idempotency key."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Row
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from noyau.domain.errors import AlreadyExists, InvalidInput, LimitExceeded
from noyau.domain.jobs import Job, JobSpec, JobState
from noyau.jobs import codec, events
from noyau.jobs.database import Database
from noyau.jobs.rows import to_job
from noyau.jobs.schema import NAME_LENGTH, TRACE_LENGTH, jobs
from noyau.jobs.settings import JobLimits

_PRIORITY_LIMIT = 1_000_000


@dataclass(frozen=True)
class Submission:
    """What a caller asks for. See `JobStore.submit`."""

    spec: JobSpec
    owner: str = ""
    group: str = ""
    priority: int = 0
    idempotency_key: str = ""
    trace: str = ""

    def __post_init__(self) -> None:
        for what, text in (("owner", self.owner), ("group", self.group), ("idempotency key", self.idempotency_key)):
            # Not printable covers control characters, NUL and lone surrogates, which databases refuse.
            if len(text) > NAME_LENGTH or not text.isprintable():
                raise InvalidInput(
                    f"The {what} of the job is too long or holds control characters.",
                    f"Use at most {NAME_LENGTH} printable characters.",
                )
        if abs(self.priority) > _PRIORITY_LIMIT:
            raise InvalidInput(
                f"Priority {self.priority} is out of range.", f"Use -{_PRIORITY_LIMIT} to {_PRIORITY_LIMIT}."
            )


def submit(database: Database, wanted: Submission, limits: JobLimits) -> Job:
    """See `JobStore.submit`."""
    kind, spec = codec.kind_of(wanted.spec), codec.encode_spec(wanted.spec)
    try:
        with database.writing() as connection:
            row = _same_key(connection, wanted) or _insert(database, connection, wanted, kind, spec, limits)
    except IntegrityError:
        # PostgreSQL: the same key arrived on another connection between our look and our insert.
        with database.reading() as connection:
            found = _same_key(connection, wanted)
        if found is None:
            raise
        row = found
    if (row.kind, row.spec) != (kind, spec):
        raise AlreadyExists(
            f"The idempotency key {wanted.idempotency_key!r} belongs to job {row.id} with another specification.",
            "Use a new key for a new job.",
        )
    return to_job(row)


def _same_key(connection: Connection, wanted: Submission) -> Row[Any] | None:
    if not wanted.idempotency_key:
        return None
    query = sa.select(jobs).where(jobs.c.owner == wanted.owner, jobs.c.idempotency_key == wanted.idempotency_key)
    return connection.execute(query).first()


def _insert(
    database: Database, connection: Connection, wanted: Submission, kind: str, spec: str, limits: JobLimits
) -> Row[Any]:
    most = limits.of(wanted.group).queued
    if most is not None:
        database.serialise(connection, f"submit:{wanted.group}")
        _check_quota(connection, wanted.group, most)
    now = database.now_us(connection)
    values = {
        "id": secrets.token_hex(8),
        "kind": kind,
        "spec": spec,
        "state": JobState.QUEUED.value,
        "owner": wanted.owner,
        "group_name": wanted.group,
        "priority": wanted.priority,
        "idempotency_key": wanted.idempotency_key or None,
        "created_us": now,
        "trace": wanted.trace[:TRACE_LENGTH] or None,
    }
    row = connection.execute(sa.insert(jobs).values(**values).returning(*jobs.c)).one()
    events.append_state(connection, row.number, now, JobState.QUEUED)
    return row


def _check_quota(connection: Connection, group: str, most: int) -> None:
    waiting = sa.select(sa.func.count()).where(jobs.c.group_name == group, jobs.c.state == JobState.QUEUED.value)
    if (connection.scalar(waiting) or 0) >= most:
        raise LimitExceeded(
            f"Group {group!r} has {most} waiting jobs, which is its quota.", "Submit again when some have started."
        )
