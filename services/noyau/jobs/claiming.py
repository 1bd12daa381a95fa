"""Claim: the next job for a worker.

Order: the group with the fewest running jobs, then the group that was served longest ago; within it the job of the
highest priority, then the oldest. So a group can put its own jobs in order, but not its jobs before those of others.
Claims pass one at a time (SQLite: the write lock; PostgreSQL: an advisory lock), so quotas of running
jobs are exact; a row that another transaction holds at that moment (a cancel) is skipped, not waited for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Select
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from noyau.domain.jobs import Job, JobState
from noyau.jobs import events
from noyau.jobs.database import Database
from noyau.jobs.lease import Lease
from noyau.jobs.rows import to_job
from noyau.jobs.schema import groups, jobs
from noyau.jobs.settings import JobLimits

_CLEANUP_SECONDS = 600
"""How long one worker has for removing what a job left behind, before another one tries."""
_UNLIMITED = 2**31 - 1


def claim(
    database: Database, worker: str, kinds: Sequence[str], lease_seconds: float, limits: JobLimits
) -> Lease | None:
    """See `JobStore.claim`."""
    if not _any_waiting(database, kinds):
        return None  # the usual case; it must not take the write lock
    with database.writing() as connection:
        database.serialise(connection, "claim")
        number = connection.execute(_next_job(kinds, limits)).scalar()
        if number is None:
            return None
        now = database.now_us(connection)
        row = connection.execute(
            sa.update(jobs)
            .where(jobs.c.number == number)
            .values(
                state=JobState.RUNNING.value,
                worker=worker,
                fence=jobs.c.fence + 1,
                attempts=jobs.c.attempts + 1,
                started_us=sa.func.coalesce(jobs.c.started_us, now),
                lease_until_us=now + int(lease_seconds * 1e6),
            )
            .returning(*jobs.c)
        ).one()
        _mark_served(connection, row.group_name, now)
        events.append_state(connection, number, now, JobState.RUNNING, attempt=row.attempts)
    return Lease(to_job(row), row.number, row.fence, worker)


def claim_cleanup(database: Database, worker: str, kinds: Sequence[str]) -> Job | None:
    """See `JobStore.claim_cleanup`."""
    waiting = sa.and_(jobs.c.cleanup, jobs.c.kind.in_(kinds))
    with database.reading() as connection:
        if connection.scalar(sa.select(jobs.c.number).where(waiting).limit(1)) is None:
            return None
    with database.writing() as connection:
        now = database.now_us(connection)
        due = sa.or_(jobs.c.lease_until_us.is_(None), jobs.c.lease_until_us < now)
        query = sa.select(jobs.c.number).where(waiting, due).order_by(jobs.c.number).limit(1)
        number = connection.execute(query.with_for_update(skip_locked=True)).scalar()
        if number is None:
            return None
        until = now + _CLEANUP_SECONDS * 1_000_000
        taken = sa.update(jobs).where(jobs.c.number == number).values(worker=worker, lease_until_us=until)
        return to_job(connection.execute(taken.returning(*jobs.c)).one())


def _any_waiting(database: Database, kinds: Sequence[str]) -> bool:
    query = sa.select(jobs.c.number).where(jobs.c.state == JobState.QUEUED.value, jobs.c.kind.in_(kinds)).limit(1)
    with database.reading() as connection:
        return connection.scalar(query) is not None


def _next_job(kinds: Sequence[str], limits: JobLimits) -> Select[Any]:
    running = (
        sa.select(jobs.c.group_name, sa.func.count().label("running"))
        .where(jobs.c.state == JobState.RUNNING.value)
        .group_by(jobs.c.group_name)
        .subquery()
    )
    load = sa.func.coalesce(running.c.running, 0)
    query = (
        sa.select(jobs.c.number)
        .outerjoin(running, running.c.group_name == jobs.c.group_name)
        .outerjoin(groups, groups.c.name == jobs.c.group_name)
        .where(jobs.c.state == JobState.QUEUED.value, jobs.c.kind.in_(kinds))
    )
    most = _most_running(limits)
    if most is not None:
        query = query.where(load < most)
    order = (load, sa.func.coalesce(groups.c.served_us, 0), jobs.c.priority.desc(), jobs.c.number)
    return query.order_by(*order).limit(1).with_for_update(of=jobs, skip_locked=True)


def _most_running(limits: JobLimits) -> ColumnElement[int] | None:
    """How many jobs of a row's group may run at once; None where no group has a limit."""
    most = {name: limits.of(name).running for name in limits.groups}
    if limits.running_per_group is None and not any(most.values()):
        return None
    otherwise = limits.running_per_group or _UNLIMITED
    if not most:
        return sa.literal(otherwise)
    return sa.case(
        {name: number or _UNLIMITED for name, number in most.items()}, value=jobs.c.group_name, else_=otherwise
    )


def _mark_served(connection: Connection, group: str, now_us: int) -> None:
    changed = connection.execute(sa.update(groups).where(groups.c.name == group).values(served_us=now_us))
    if changed.rowcount == 0:
        # Claims pass one at a time, so nobody else inserts the same group now.
        connection.execute(sa.insert(groups).values(name=group, served_us=now_us))
