"""What becomes of jobs that were cancelled, or whose worker died: the side of the store that supervisors use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Row
from sqlalchemy.engine import Connection

from noyau.domain.errors import FailedPrecondition, NotFound
from noyau.domain.jobs import EventKind, Job, JobError, JobState
from noyau.jobs import codec, events
from noyau.jobs.database import Database
from noyau.jobs.rows import to_job
from noyau.jobs.schema import jobs
from noyau.jobs.settings import JobLimits


class Loss(Enum):
    """How a job lost its worker; decides how much it counts against the job."""

    CRASH = "crash"
    INTERRUPTION = "interruption"
    RELEASE = "release"


@dataclass(frozen=True)
class Recovered:
    """A job that was taken from its worker, and its state now."""

    job_id: str
    state: JobState
    reason: str


@dataclass(frozen=True)
class OverdueCancel:
    """A running job that was asked to stop a while ago."""

    job_id: str
    worker: str


@dataclass(frozen=True)
class LateLease:
    """A running job whose lease has ended, or ends soon."""

    job_id: str
    worker: str
    has_ended: bool


def request_cancel(database: Database, job_id: str) -> Job:
    """See `JobStore.request_cancel`."""
    with database.writing() as connection:
        row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id).with_for_update()).first()
        if row is None:
            raise NotFound(f"There is no job {job_id!r}.", "List the jobs to see their ids.")
        now = database.now_us(connection)
        if row.state == JobState.QUEUED.value:
            _end(connection, row, now, JobState.CANCELLED, cancel_us=now)
        elif row.state == JobState.RUNNING.value and row.cancel_us is None:
            connection.execute(sa.update(jobs).where(jobs.c.number == row.number).values(cancel_us=now))
            message = "Somebody asked to cancel the job."
            events.append(connection, row.number, now, EventKind.LOG, {"level": "info", "message": message})
        elif row.state in (JobState.SUCCEEDED.value, JobState.FAILED.value):
            raise FailedPrecondition(f"Job {job_id} has already ended ({row.state}) and cannot be cancelled.")
        return to_job(connection.execute(sa.select(jobs).where(jobs.c.number == row.number)).one())


def overdue_cancels(database: Database, grace_seconds: float) -> tuple[OverdueCancel, ...]:
    """See `JobStore.overdue_cancels`."""
    with database.reading() as connection:
        asked = sa.select(jobs.c.id, jobs.c.worker, jobs.c.cancel_us)
        rows = connection.execute(
            asked.where(jobs.c.state == JobState.RUNNING.value, jobs.c.cancel_us.is_not(None))
        ).all()
        if not rows:
            return ()
        limit = database.now_us(connection) - int(grace_seconds * 1e6)
    return tuple(OverdueCancel(row.id, row.worker) for row in rows if row.cancel_us <= limit)


def late_leases(database: Database, soon_seconds: float) -> tuple[LateLease, ...]:
    """See `JobStore.late_leases`."""
    columns = sa.select(jobs.c.id, jobs.c.worker, jobs.c.lease_until_us)
    with database.reading() as connection:
        now = database.now_us(connection)
        late = columns.where(
            jobs.c.state == JobState.RUNNING.value, jobs.c.lease_until_us < now + int(soon_seconds * 1e6)
        )
        rows = connection.execute(late).all()
    return tuple(LateLease(row.id, row.worker, row.lease_until_us < now) for row in rows)


def vouch(database: Database, worker: str, lease_seconds: float) -> None:
    """See `JobStore.vouch`."""
    mine = sa.update(jobs).where(jobs.c.state == JobState.RUNNING.value, jobs.c.worker == worker)
    with database.writing() as connection:
        connection.execute(mine.values(lease_until_us=database.now_us(connection) + int(lease_seconds * 1e6)))


def recover_expired(database: Database, limits: JobLimits) -> tuple[Recovered, ...]:
    """See `JobStore.recover_expired`."""
    with database.reading() as connection:
        if not connection.execute(_expired(database.now_us(connection)).limit(1)).first():
            return ()
    with database.writing() as connection:
        rows = connection.execute(_expired(database.now_us(connection)).with_for_update(skip_locked=True)).all()
        reason = "Its worker was not heard of until the lease ended"
        return tuple(_take(database, connection, row, Loss.INTERRUPTION, reason, limits) for row in rows)


def recover_worker(
    database: Database, worker: str, loss: Loss, reason: str, limits: JobLimits
) -> tuple[Recovered, ...]:
    """See `JobStore.recover_worker`."""
    mine = sa.select(jobs).where(jobs.c.state == JobState.RUNNING.value, jobs.c.worker == worker)
    with database.writing() as connection:
        rows = connection.execute(mine.with_for_update()).all()
        return tuple(_take(database, connection, row, loss, reason, limits) for row in rows)


def recover_dead(database: Database, is_dead: Callable[[str], bool], limits: JobLimits) -> tuple[Recovered, ...]:
    """See `JobStore.recover_dead`."""
    with database.reading() as connection:
        query = sa.select(jobs.c.worker).where(jobs.c.state == JobState.RUNNING.value).distinct()
        workers = connection.scalars(query).all()
    reason = "The service that ran it stopped"
    found: list[Recovered] = []
    for worker in workers:
        if is_dead(worker):
            found.extend(recover_worker(database, worker, Loss.INTERRUPTION, reason, limits))
    return tuple(found)


def cleaned(database: Database, job_id: str) -> None:
    """See `JobStore.cleaned`."""
    with database.writing() as connection:
        done = sa.update(jobs).where(jobs.c.id == job_id, jobs.c.state.in_([s for s in JobState if s.is_final]))
        connection.execute(done.values(cleanup=False, lease_until_us=None))


def _expired(now_us: int) -> sa.Select[Any]:
    return sa.select(jobs).where(jobs.c.state == JobState.RUNNING.value, jobs.c.lease_until_us < now_us)


def _take(
    database: Database, connection: Connection, row: Row[Any], loss: Loss, reason: str, limits: JobLimits
) -> Recovered:
    """Takes a running job from its worker: it waits again, or ends if it was cancelled or is tried too often."""
    now = database.now_us(connection)
    crashes = row.crashes + (loss is Loss.CRASH)
    interruptions = row.interruptions + (loss is Loss.INTERRUPTION)
    if row.cancel_us is not None:
        _end(connection, row, now, JobState.CANCELLED)
        return Recovered(row.id, JobState.CANCELLED, reason)
    if crashes >= limits.max_crashes or interruptions >= limits.max_interruptions:
        tries = max(crashes, interruptions)
        error = JobError(
            "INTERNAL",
            f"{reason}, for the {tries}th time without progress.",
            "If memory ran out, use a smaller tile or batch; otherwise the log of the service has details.",
        )
        _end(connection, row, now, JobState.FAILED, error=error, crashes=crashes, interruptions=interruptions)
        return Recovered(row.id, JobState.FAILED, reason)
    _requeue(connection, row, crashes=crashes, interruptions=interruptions)
    message = f"{reason}; the job waits for another worker and keeps its finished parts."
    level = "info" if loss is Loss.RELEASE else "warning"
    events.append(connection, row.number, now, EventKind.LOG, {"level": level, "message": message})
    events.append_state(connection, row.number, now, JobState.QUEUED)
    return Recovered(row.id, JobState.QUEUED, reason)


def _requeue(connection: Connection, row: Row[Any], **values: Any) -> None:
    connection.execute(
        sa.update(jobs)
        .where(jobs.c.number == row.number)
        .values(state=JobState.QUEUED.value, worker=None, lease_until_us=None, fence=jobs.c.fence + 1, **values)
    )


def _end(
    connection: Connection, row: Row[Any], now: int, state: JobState, *, error: JobError | None = None, **values: Any
) -> None:
    """Ends a job that no worker holds (any more)."""
    connection.execute(
        sa.update(jobs)
        .where(jobs.c.number == row.number)
        .values(
            state=state.value,
            finished_us=now,
            worker=None,
            lease_until_us=None,
            fence=jobs.c.fence + 1,
            error=None if error is None else codec.encode_error(error),
            # A job that never started left nothing behind.
            cleanup=row.attempts > 0,
            **values,
        )
    )
    events.append_state(connection, row.number, now, state, error=error)
