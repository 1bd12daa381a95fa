"""Jobs that have ended, each told once, with what their events say of where the time went.

For figures over all jobs: whoever asks the store misses nothing when a worker or a coordinator is killed.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Row
from sqlalchemy.engine import Connection

from noyau.domain.jobs import EventKind, JobState
from noyau.jobs.database import Database
from noyau.jobs.schema import events, jobs

_FINAL = tuple(state.value for state in JobState if state.is_final)
_TOLD = (EventKind.STATE.value, EventKind.STAGE.value, EventKind.METRIC.value)
# On PostgreSQL a transaction with a lower number may become visible after one with a higher number, but not so late.
_SETTLED_US = 600 * 1_000_000


@dataclass(frozen=True)
class EndedJob:
    """One job. Times in seconds.

    Attributes:
        kind: `segment`, ...
        state: how it ended.
        group: for whom.
        cause: kind of the error (`ErrorKind`), empty where there was none.
        attempts: how often a worker started it.
        waited: from its submission to its first start; None where it never started.
        ran: with a worker, over all attempts.
        stages: name and length of every stage, in order; one that a killed worker was in counts until it was noticed.
        nuclei: that its result counts.
        voxels: that its worker has reported.
    """

    kind: str
    state: JobState
    group: str
    cause: str = ""
    attempts: int = 0
    waited: float | None = None
    ran: float = 0.0
    stages: tuple[tuple[str, float], ...] = ()
    nuclei: int = 0
    voxels: int = 0


@dataclass(frozen=True)
class ActiveJobs:
    """Jobs of one kind and group that wait or run; `oldest` is the longest time since a submission, seconds."""

    kind: str
    state: JobState
    group: str
    jobs: int
    oldest: float


class EndedJobs:
    """Walks through the ended jobs. One thread at a time may ask."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # All jobs below this number have ended and been told.
        self._low = 0
        self._told: set[int] = set()

    def next(self, limit: int = 500) -> tuple[EndedJob, ...]:
        """Up to `limit` jobs that have not been told yet, by their number; fewer means that these were all.

        Raises:
            Unavailable: the database does not answer; then nothing is lost.
        """
        with self._database.reading() as connection:
            ended = sa.select(jobs.c.number).where(jobs.c.number >= self._low, jobs.c.state.in_(_FINAL))
            numbers = [n for n in connection.scalars(ended.order_by(jobs.c.number)) if n not in self._told][:limit]
            found = tuple(itertools.chain.from_iterable(_read(connection, part) for part in _parts(numbers, 200)))
            low = self._open_number(connection)
        self._told.update(numbers)
        if len(numbers) < limit:
            self._low = max(self._low, low)
            self._told = {number for number in self._told if number >= self._low}
        return found

    def _open_number(self, connection: Connection) -> int:
        """The lowest number that may still have to be told."""
        recent = self._database.now_us(connection) - _SETTLED_US
        unsettled = sa.or_(jobs.c.state.not_in(_FINAL), jobs.c.created_us > recent)
        lowest = connection.scalar(sa.select(sa.func.min(jobs.c.number)).where(jobs.c.number >= self._low, unsettled))
        highest = connection.scalar(sa.select(sa.func.max(jobs.c.number)))
        return int(lowest) if lowest is not None else int(highest or 0) + 1


def active(database: Database) -> tuple[ActiveJobs, ...]:
    """Jobs that have not ended, counted."""
    columns = (jobs.c.kind, jobs.c.state, jobs.c.group_name)
    counted = sa.select(*columns, sa.func.count().label("jobs"), sa.func.min(jobs.c.created_us).label("first"))
    with database.reading() as connection:
        now = database.now_us(connection)
        rows = connection.execute(
            counted.where(jobs.c.state.in_([JobState.QUEUED.value, JobState.RUNNING.value])).group_by(*columns)
        ).all()
    return tuple(
        ActiveJobs(row.kind, JobState(row.state), row.group_name, row.jobs, max(0, now - row.first) / 1e6)
        for row in rows
    )


def _parts(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]


def _read(connection: Connection, numbers: Sequence[int]) -> Iterator[EndedJob]:
    rows = connection.execute(sa.select(jobs).where(jobs.c.number.in_(numbers)).order_by(jobs.c.number)).all()
    wanted = sa.select(events).where(events.c.job_number.in_(numbers), events.c.kind.in_(_TOLD))
    told = connection.execute(wanted.order_by(events.c.job_number, events.c.seq)).all()
    by_job = {number: list(group) for number, group in itertools.groupby(told, key=lambda row: row.job_number)}
    for row in rows:
        yield _to_ended(row, by_job.get(row.number, ()))


def _to_ended(row: Row[Any], told: Iterable[Row[Any]]) -> EndedJob:
    history = _History()
    for event in told:
        history.add(EventKind(event.kind), event.time_us, json.loads(event.payload))
    first = history.first_start_us
    return EndedJob(
        kind=row.kind,
        state=JobState(row.state),
        group=row.group_name,
        cause=json.loads(row.error)["kind"] if row.error else "",
        attempts=row.attempts,
        waited=None if first is None else _seconds(row.created_us, first),
        ran=history.ran,
        stages=tuple(history.stages),
        nuclei=int(json.loads(row.result).get("nuclei", 0)) if row.result else 0,
        voxels=history.voxels,
    )


@dataclass
class _History:
    """What the events of one job add up to."""

    first_start_us: int | None = None
    ran: float = 0.0
    voxels: int = 0
    stages: list[tuple[str, float]] = field(default_factory=list)
    _started_us: int | None = None
    _stage: tuple[str, int] | None = None

    def add(self, kind: EventKind, time_us: int, payload: dict[str, Any]) -> None:
        if kind is EventKind.METRIC:
            # A job that was tried twice reports its voxels twice; the last word counts.
            self.voxels = int(payload["value"]) if payload["name"] == "voxels" else self.voxels
            return
        if self._stage is not None:
            self.stages.append((self._stage[0], _seconds(self._stage[1], time_us)))
            self._stage = None
        if kind is EventKind.STAGE:
            self._stage = (payload["name"], time_us)
            return
        if self._started_us is not None:
            self.ran += _seconds(self._started_us, time_us)
        self._started_us = time_us if payload["state"] == JobState.RUNNING else None
        if self._started_us is not None and self.first_start_us is None:
            self.first_start_us = time_us


def _seconds(start_us: int, end_us: int) -> float:
    """Not below zero: a clock may have been set back."""
    return max(0, end_us - start_us) / 1e6
