"""Sums over all jobs that have ever ended, kept in the store.

Each ended job is added once, in the transaction that marks it as added. So all coordinators of a store show the same
sums, a restart changes nothing, and a job that is forgotten (see `forgetting`) stays counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from noyau.jobs.database import Database
from noyau.jobs.ended import FINAL, EndedJob, read_ended
from noyau.jobs.schema import jobs, tallies


@dataclass(frozen=True)
class Amount:
    """What one job adds to one sum: the figure's name, the values of its labels, and how much."""

    figure: str
    labels: tuple[str, ...]
    value: float


CountJob = Callable[[EndedJob], Iterable[Amount]]
"""What a job adds. Must depend on the job alone."""
Admit = Callable[[Amount, set[tuple[str, ...]]], Amount]
"""Changes the labels of an amount where its figure has too many already; given the labels that the figure has."""


def admit_all(amount: Amount, _known: set[tuple[str, ...]]) -> Amount:
    """Any number of labels."""
    return amount


class Tallies:
    """The sums of one store. Safe to use from several threads and processes.

    Args:
        database: of the store.
        count: what a job adds.
        admit: bounds the number of labels.
    """

    def __init__(self, database: Database, count: CountJob, admit: Admit = admit_all) -> None:
        self._database = database
        self._count = count
        self._admit = admit

    def add_ended(self, limit: int = 200) -> int:
        """Adds up to `limit` ended jobs that are not in the sums yet; fewer means that these were all.

        Raises:
            Unavailable: the database does not answer; then nothing is lost or added twice.
        """
        waiting = sa.select(jobs.c.number).where(~jobs.c.tallied, jobs.c.state.in_(FINAL)).limit(limit)
        with self._database.reading() as connection:
            if connection.execute(waiting.limit(1)).first() is None:
                return 0  # the usual case; it must not take the write lock
        with self._database.writing() as connection:
            self._database.serialise(connection, "tally")
            numbers = list(connection.scalars(waiting.order_by(jobs.c.number)))
            self._add(connection, read_ended(connection, numbers))
            connection.execute(sa.update(jobs).where(jobs.c.number.in_(numbers)).values(tallied=True))
        return len(numbers)

    def read(self) -> tuple[Amount, ...]:
        """All sums.

        Raises:
            Unavailable: the database does not answer.
        """
        with self._database.reading() as connection:
            return _read(connection)

    def _add(self, connection: Connection, found: Iterable[EndedJob]) -> None:
        known: dict[str, set[tuple[str, ...]]] = {}
        for amount in _read(connection):
            known.setdefault(amount.figure, set()).add(amount.labels)
        sums: dict[tuple[str, tuple[str, ...]], float] = {}
        for job in found:
            for wanted in self._count(job):
                amount = self._admit(wanted, known.setdefault(wanted.figure, set()))
                key = (amount.figure, amount.labels)
                sums[key] = sums.get(key, 0.0) + amount.value
                known[amount.figure].add(amount.labels)
        for (figure, labels), value in sums.items():
            _increase(connection, figure, json.dumps(labels), value)


def _increase(connection: Connection, figure: str, labels: str, value: float) -> None:
    same = sa.update(tallies).where(tallies.c.figure == figure, tallies.c.labels == labels)
    if connection.execute(same.values(value=tallies.c.value + value)).rowcount == 0:
        # Transactions that add pass one at a time, so nobody else inserts the same row now.
        connection.execute(sa.insert(tallies).values(figure=figure, labels=labels, value=value))


def _read(connection: Connection) -> tuple[Amount, ...]:
    rows = connection.execute(sa.select(tallies).order_by(tallies.c.figure, tallies.c.labels)).all()
    return tuple(Amount(row.figure, tuple(json.loads(row.labels)), row.value) for row in rows)
