"""What the holder of a lease may do. Every write is one transaction that is conditional on the fencing token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from noyau.domain.jobs import EventKind, JobError, JobResult, JobState
from noyau.jobs import codec, events
from noyau.jobs.database import Database
from noyau.jobs.lease import Lease, LeaseLost
from noyau.jobs.schema import jobs, units

_CLEANUP_SECONDS = 60


def heartbeat(database: Database, lease: Lease, lease_seconds: float) -> bool:
    """See `JobStore.heartbeat`."""
    with database.writing() as connection:
        until = database.now_us(connection) + int(lease_seconds * 1e6)
        return _guarded(connection, lease, lease_until_us=until).cancel_us is not None


def cancel_requested(database: Database, lease: Lease) -> bool:
    """See `JobStore.cancel_requested`."""
    query = sa.select(jobs.c.cancel_us).where(*_held(lease))
    with database.reading() as connection:
        row = connection.execute(query).first()
    if row is None:
        raise _lost(lease)
    return row.cancel_us is not None


def append_event(database: Database, lease: Lease, kind: EventKind, payload: Mapping[str, Any]) -> int:
    """See `JobStore.append_event`."""
    with database.writing() as connection:
        _guarded(connection, lease, fence=lease.fence)
        return events.append(connection, lease.number, database.now_us(connection), kind, payload)


def finish(database: Database, lease: Lease, state: JobState, result: JobResult | None, error: JobError | None) -> None:
    """See `JobStore.finish`."""
    with database.writing() as connection:
        now = database.now_us(connection)
        _guarded(
            connection,
            lease,
            state=state.value,
            finished_us=now,
            result=None if result is None else codec.encode_result(result),
            error=None if error is None else codec.encode_error(error),
            # The worker removes the job's leftovers next; should it die first, another one does so after a while.
            cleanup=True,
            lease_until_us=now + _CLEANUP_SECONDS * 1_000_000,
        )
        events.append_state(connection, lease.number, now, state, error=error)


def finished_units(database: Database, lease: Lease, stage: str) -> dict[str, str]:
    """JSON payload of each finished unit of a stage."""
    query = sa.select(units.c.unit, units.c.payload).where(units.c.job_number == lease.number, units.c.stage == stage)
    with database.reading() as connection:
        return {row.unit: row.payload for row in connection.execute(query)}


def mark_unit(database: Database, lease: Lease, stage: str, unit: str, payload: str) -> None:
    """Records a finished unit; a second time replaces its payload.

    Raises:
        LeaseLost: the job has changed hands.
    """
    with database.writing() as connection:
        # A finished unit is progress: earlier deaths of workers no longer count against the job.
        _guarded(connection, lease, crashes=0, interruptions=0)
        values = {"time_us": database.now_us(connection), "payload": payload}
        same = (units.c.job_number == lease.number, units.c.stage == stage, units.c.unit == unit)
        if connection.execute(sa.update(units).where(*same).values(**values)).rowcount == 0:
            # The row lock on the job keeps other writers of its units out until we commit.
            connection.execute(sa.insert(units).values(job_number=lease.number, stage=stage, unit=unit, **values))


def forget_units(database: Database, lease: Lease) -> int:
    """Removes the record of all finished units of the job; returns how many there were.

    Raises:
        LeaseLost: the job has changed hands.
    """
    with database.writing() as connection:
        _guarded(connection, lease, fence=lease.fence)
        return connection.execute(sa.delete(units).where(units.c.job_number == lease.number)).rowcount


def _held(lease: Lease) -> tuple[sa.ColumnElement[bool], ...]:
    state = jobs.c.state == JobState.RUNNING.value
    return (jobs.c.number == lease.number, jobs.c.fence == lease.fence, state)


def _guarded(connection: Connection, lease: Lease, **values: Any) -> sa.Row[Any]:
    """Changes the job's row where the lease still holds; the row stays locked until the transaction ends."""
    changed = sa.update(jobs).where(*_held(lease)).values(**values).returning(jobs.c.cancel_us)
    row = connection.execute(changed).first()
    if row is None:
        raise _lost(lease)
    return row


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(f"Job {lease.job.id} is no longer in the hands of this worker.")
