"""Jobs that wait or run, counted; and jobs that have ended, with what their events say of where the time went."""

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
from noyau.domain.meters import USE
from noyau.jobs.database import Database
from noyau.jobs.schema import events, jobs

FINAL = tuple(state.value for state in JobState if state.is_final)
_TOLD = (EventKind.STATE.value, EventKind.STAGE.value, EventKind.METRIC.value)


@dataclass(frozen=True)
class EndedJob:
    """One job. Times in seconds.

    Attributes:
        kind: `segment`, ...
        state: how it ended.
        group: for whom.
        owner: by whom.
        cause: kind of the error (`ErrorKind`), empty where there was none.
        attempts: how often a worker started it.
        waited: from its submission to its first start; None where it never started.
        ran: with a worker, over all attempts.
        stages: name and length of every stage, in order; one that a killed worker was in counts until it was noticed.
        nuclei: that its result counts.
        voxels: that its worker has reported.
        used: what its workers have metered (see `noyau.domain.meters`), summed over the attempts; what a worker
            metered that was killed is not known.
    """

    kind: str
    state: JobState
    group: str
    owner: str = ""
    cause: str = ""
    attempts: int = 0
    waited: float | None = None
    ran: float = 0.0
    stages: tuple[tuple[str, float], ...] = ()
    nuclei: int = 0
    voxels: int = 0
    used: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class ActiveJobs:
    """Jobs of one kind and group that wait or run; `oldest` is the longest time since a submission, seconds."""

    kind: str
    state: JobState
    group: str
    jobs: int
    oldest: float


def active(database: Database) -> tuple[ActiveJobs, ...]:
    """Jobs that have not ended, counted.

    Raises:
        Unavailable: the database does not answer.
    """
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


def read_ended(connection: Connection, numbers: Sequence[int]) -> Iterator[EndedJob]:
    """Ended jobs by their numbers, in order."""
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
        owner=row.owner,
        cause=json.loads(row.error)["kind"] if row.error else "",
        attempts=row.attempts,
        waited=None if first is None else _seconds(row.created_us, first),
        ran=history.ran,
        stages=tuple(history.stages),
        nuclei=int(json.loads(row.result).get("nuclei", 0)) if row.result else 0,
        voxels=history.voxels,
        used=tuple(sorted(history.used.items())),
    )


@dataclass
class _History:
    """What the events of one job add up to."""

    first_start_us: int | None = None
    ran: float = 0.0
    voxels: int = 0
    stages: list[tuple[str, float]] = field(default_factory=list)
    used: dict[str, float] = field(default_factory=dict)
    _started_us: int | None = None
    _stage: tuple[str, int] | None = None

    def add(self, kind: EventKind, time_us: int, payload: dict[str, Any]) -> None:
        if kind is EventKind.METRIC:
            self._metric(str(payload["name"]), float(payload["value"]))
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

    def _metric(self, name: str, value: float) -> None:
        if name == "voxels":
            # A job that was tried twice reports its voxels twice; the last word counts.
            self.voxels = int(value)
        elif name.startswith(USE):
            # Work that was done twice was done twice.
            self.used[name.removeprefix(USE)] = self.used.get(name.removeprefix(USE), 0.0) + value


def _seconds(start_us: int, end_us: int) -> float:
    """Not below zero: a clock may have been set back."""
    return max(0, end_us - start_us) / 1e6
