"""Get and List: jobs by id, and pages of jobs by filter."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from noyau.domain.errors import InvalidInput, NotFound
from noyau.domain.jobs import Job, JobState
from noyau.domain.principal import Sight
from noyau.jobs.database import Database
from noyau.jobs.rows import from_time, to_job
from noyau.jobs.schema import jobs

MAX_PAGE = 1000


@dataclass(frozen=True)
class JobFilter:
    """Which jobs to list. Empty or None means any.

    Attributes:
        states: one of these.
        owner: submitted by.
        group: submitted for.
        kind: `segment`, `measure`, ...
        created_from: submitted at or after.
        created_before: submitted before.
        sight: what the caller may know of; None means everything.
    """

    states: tuple[JobState, ...] = ()
    owner: str | None = None
    group: str | None = None
    kind: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    sight: Sight | None = None


@dataclass(frozen=True)
class JobPage:
    """Jobs, newest first, and the token of the next page; the token is empty on the last page."""

    jobs: tuple[Job, ...]
    next_token: str


def get(database: Database, job_id: str) -> Job:
    """See `JobStore.get`."""
    with database.reading() as connection:
        row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).first()
    if row is None:
        raise no_such_job(job_id)
    return to_job(row)


def no_such_job(job_id: str) -> NotFound:
    """What is said of a job that does not exist, and of one that the caller must not know of, in the same words."""
    return NotFound(f"There is no job {job_id!r}.", "List the jobs to see their ids.")


def list_page(database: Database, wanted: JobFilter, size: int, token: str) -> JobPage:
    """See `JobStore.list`. Pages go by the number of submission, so new jobs never shift them."""
    if not 1 <= size <= MAX_PAGE:
        raise InvalidInput(f"A page of {size} jobs cannot be given.", f"Ask for 1 to {MAX_PAGE}.")
    conditions = _conditions(wanted)
    if token:
        conditions.append(jobs.c.number < _read_token(token, wanted))
    query = sa.select(jobs).where(*conditions).order_by(jobs.c.number.desc()).limit(size + 1)
    with database.reading() as connection:
        rows = connection.execute(query).all()
    more = len(rows) > size
    next_token = _write_token(rows[size - 1].number, wanted) if more else ""
    return JobPage(tuple(to_job(row) for row in rows[:size]), next_token)


def count_by_state(database: Database) -> dict[JobState, int]:
    """How many jobs are in each state."""
    query = sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state)
    with database.reading() as connection:
        found = {JobState(state): int(count) for state, count in connection.execute(query)}
    return {state: found.get(state, 0) for state in JobState}


def leftovers(database: Database) -> int:
    """See `JobStore.leftovers`."""
    with database.reading() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).where(jobs.c.cleanup)) or 0)


def _conditions(wanted: JobFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.states:
        conditions.append(jobs.c.state.in_([state.value for state in wanted.states]))
    for column, value in ((jobs.c.owner, wanted.owner), (jobs.c.group_name, wanted.group), (jobs.c.kind, wanted.kind)):
        if value is not None:
            conditions.append(column == value)
    if wanted.created_from is not None:
        conditions.append(jobs.c.created_us >= from_time(wanted.created_from))
    if wanted.created_before is not None:
        conditions.append(jobs.c.created_us < from_time(wanted.created_before))
    if wanted.sight is not None:
        seen = (jobs.c.owner.in_(wanted.sight.owners), jobs.c.group_name.in_(wanted.sight.groups))
        conditions.append(sa.or_(*seen))
    return conditions


def _fingerprint(wanted: JobFilter) -> str:
    return hashlib.sha256(json.dumps(asdict(wanted), default=str, sort_keys=True).encode()).hexdigest()[:8]


def _write_token(number: int, wanted: JobFilter) -> str:
    return base64.urlsafe_b64encode(f"{number}:{_fingerprint(wanted)}".encode()).decode()


def _read_token(token: str, wanted: JobFilter) -> int:
    try:
        number, fingerprint = base64.urlsafe_b64decode(token.encode()).decode().split(":")
        position = int(number)
    except ValueError as error:
        raise InvalidInput("The page token is not one that this service gave.", "List again from the start.") from error
    if fingerprint != _fingerprint(wanted) or not 0 < position < 2**63:
        raise InvalidInput("The page token belongs to a list with other filters.", "List again from the start.")
    return position
