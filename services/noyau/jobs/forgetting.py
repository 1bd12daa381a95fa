"""Jobs that ended long ago are forgotten: their rows, events, finished units and scratch. Results are never touched.

A job whose leftovers are still to be removed stays, and so does one that the tallies do not count yet. A worker that
wakes up after it was believed dead finds no row for its fencing token and stops.
"""

from __future__ import annotations

import logging
import shutil
import threading
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from noyau.domain.errors import NoyauError
from noyau.jobs.database import Database
from noyau.jobs.ended import FINAL
from noyau.jobs.schema import jobs
from noyau.jobs.tallies import Tallies

_LOG = logging.getLogger(__name__)
_ROUND_SECONDS = 3600.0
_PART = 200


def forget(database: Database, workdir: Path, keep_seconds: float, limit: int = _PART) -> int:
    """Forgets up to `limit` jobs that ended longer ago than `keep_seconds`; fewer means that these were all.

    Args:
        database: of the store.
        workdir: folder of the scratch folders.
        keep_seconds: by the clock of the database.
        limit: jobs in one transaction.

    Raises:
        Unavailable: the database does not answer.
    """
    with database.reading() as connection:
        before = database.now_us(connection) - int(keep_seconds * 1e6)
        old = sa.and_(jobs.c.state.in_(FINAL), jobs.c.tallied, ~jobs.c.cleanup, jobs.c.finished_us < before)
        found = connection.execute(sa.select(jobs.c.number, jobs.c.id).where(old).limit(limit)).all()
    for row in found:
        # There is none, unless somebody put it back: it is removed before `cleanup` is reset.
        shutil.rmtree(workdir / row.id, ignore_errors=True)
    if found:
        with database.writing() as connection:
            # Events and units go with their job, by the foreign keys.
            connection.execute(sa.delete(jobs).where(jobs.c.number.in_([row.number for row in found]), old))
    return len(found)


class Forgetter:
    """The thread of a coordinator that forgets. Several coordinators may do so at once.

    Args:
        database: of the store.
        workdir: folder of the scratch folders.
        tallies: brought up to date before.
        keep_seconds: how long jobs are kept after their end.
    """

    def __init__(self, database: Database, workdir: Path, tallies: Tallies, keep_seconds: float) -> None:
        self._database = database
        self._workdir = workdir
        self._tallies = tallies
        self._keep = keep_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="noyau-forgetter", daemon=True)

    def start(self) -> Self:
        """Begins with the jobs that are old now, then looks once an hour."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ends after the transaction that is under way."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def round(self) -> int:
        """Forgets all that is old; how many jobs that were.

        Raises:
            Unavailable: the database does not answer.
        """
        while not self._stopping.is_set() and self._tallies.add_ended(_PART) == _PART:
            continue
        total = 0
        while not self._stopping.is_set():
            count = forget(self._database, self._workdir, self._keep)
            total += count
            if count < _PART:
                break
        return total

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                total = self.round()
                if total:
                    _LOG.info("%d jobs that ended more than %g days ago were forgotten", total, self._keep / 86_400)
            except NoyauError as error:
                _LOG.warning("old jobs are forgotten later: %s", error)
            except Exception:
                _LOG.exception("old jobs are forgotten later")
            self._stopping.wait(_ROUND_SECONDS)
