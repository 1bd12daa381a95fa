"""A database of the first version goes through every revision with its rows, on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from noyau.domain.jobs import JobState
from noyau.jobs import migrate
from noyau.jobs.codec import encode_spec
from noyau.jobs.database import Database
from noyau.jobs.migrate import current, head, upgrade
from noyau.jobs.store import JobStore

TABLES = ("jobs", "events", "units", "groups")


def revisions() -> list[str]:
    """All revisions, the first one first."""
    script = ScriptDirectory(str(migrate._SCRIPTS))
    return [found.revision for found in reversed(list(script.walk_revisions()))]


@pytest.fixture
def first(database_url: str, spec: object) -> Iterator[Database]:
    """A database as version 0.1 of the schema left it: jobs that wait, run and have ended."""
    database = Database.open(database_url)
    migrate_to(database, "0001")
    insert = sa.text(
        "INSERT INTO jobs (id, kind, spec, state, owner, group_name, priority, attempts, created_us, finished_us,"
        " result, fence, last_seq) VALUES (:id, 'segment', :spec, :state, 'ada', 'lab', 0, :attempts, 1000000, :ended,"
        " :result, 1, 1)"
    )
    result = json.dumps({"nuclei": 7})
    with database.writing() as connection:
        for state, ended, told in (("QUEUED", None, None), ("RUNNING", None, None), ("SUCCEEDED", 2000000, result)):
            values = {"id": f"job-{state.lower()}", "spec": encode_spec(spec), "state": state, "attempts": 1}  # type: ignore[arg-type]
            connection.execute(insert, {**values, "ended": ended, "result": told})
        numbers = connection.scalars(sa.text("SELECT number FROM jobs ORDER BY number")).all()
        for number in numbers:
            connection.execute(sa.text("INSERT INTO events VALUES (:n, 1, 1000000, 'state', :p)"), event(number))
            connection.execute(
                sa.text("INSERT INTO units VALUES (:n, 'predict', 'tile0', 1000000, '{}')"), {"n": number}
            )
        connection.execute(sa.text("INSERT INTO groups VALUES ('lab', 1000000)"))
    yield database
    database.close()


def event(number: int) -> dict[str, object]:
    return {"n": number, "p": json.dumps({"state": "QUEUED"})}


def migrate_to(database: Database, revision: str) -> None:
    with database.writing() as connection:
        database.serialise(connection, "migrate")
        command.upgrade(migrate._config(connection), revision)


def counts(database: Database) -> dict[str, int]:
    with database.reading() as connection:
        return {name: int(connection.scalar(sa.text(f"SELECT count(*) FROM {name}")) or 0) for name in TABLES}


def test_every_revision_keeps_what_is_there(first: Database) -> None:
    before = counts(first)
    assert before == {"jobs": 3, "events": 3, "units": 3, "groups": 1}
    for revision in revisions()[1:]:
        migrate_to(first, revision)
        assert current(first) == revision
        assert counts(first) == before, f"revision {revision} has lost something"
    assert current(first) == head()


def test_the_service_goes_on_with_jobs_of_the_first_version(first: Database, database_url: str) -> None:
    with JobStore.open(database_url) as store:
        done = store.get("job-succeeded")
        assert (done.state, done.owner, done.group, done.trace) == (JobState.SUCCEEDED, "ada", "lab", "")
        assert done.result is not None and done.result.nuclei == 7
        assert [found.seq for found in store.events_since("job-queued")] == [1]
        lease = store.claim("w")
        assert lease is not None and lease.job.id == "job-queued"
        assert set(store.ledger(lease).finished("predict")) == {"tile0"}
        store.finish(lease, JobState.CANCELLED)


@pytest.mark.parametrize("broken", ["0002", "0003"])
def test_a_migration_that_is_cut_off_is_done_again_whole(
    first: Database, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise RuntimeError("cut off")

    before = counts(first)
    earlier = revisions()[revisions().index(broken) - 1]
    migrate_to(first, earlier)
    # The tables are made before this is called, so half of the work is done.
    monkeypatch.setattr("alembic.op.create_table" if broken == "0002" else "alembic.op.create_index", explode)
    with pytest.raises(RuntimeError, match="cut off"):
        upgrade(first)
    assert current(first) == earlier
    monkeypatch.undo()
    upgrade(first)
    assert current(first) == head()
    assert counts(first) == before
