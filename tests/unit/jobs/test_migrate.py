"""The schema: made by migrations, equal to the tables in the code, and never touched when it is newer."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from noyau.domain.errors import FailedPrecondition
from noyau.domain.jobs import SegmentSpec
from noyau.jobs.database import Database
from noyau.jobs.migrate import head, upgrade
from noyau.jobs.schema import metadata
from noyau.jobs.store import JobStore


def test_migrations_make_the_tables_of_the_code(store: JobStore) -> None:
    with store.database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == head()


def test_unique_constraints_and_indexes_are_there(store: JobStore) -> None:
    with store.database.reading() as connection:
        found = sa.inspect(connection)
        assert {i["name"] for i in found.get_indexes("jobs") if not i["unique"]} == {
            i.name for i in metadata.tables["jobs"].indexes
        }
        assert ["owner", "idempotency_key"] in [u["column_names"] for u in found.get_unique_constraints("jobs")]


def test_opening_again_keeps_the_jobs(database_url: str, spec: SegmentSpec) -> None:
    with JobStore.open(database_url) as store:
        job = store.submit(spec)
    with JobStore.open(database_url) as store:
        assert store.get(job.id) == job


def test_many_that_start_at_once_migrate_once(database_url: str) -> None:
    def open_and_close(_: int) -> None:
        JobStore.open(database_url).close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(open_and_close, range(6)))
    database = Database.open(database_url)
    with database.reading() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM alembic_version")) == 1
    database.close()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(database_url: str) -> None:
    JobStore.open(database_url).close()
    database = Database.open(database_url)
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(FailedPrecondition, match="'9999', which a newer version") as caught:
        upgrade(database)
    assert "Start that version" in caught.value.remedy
    with database.reading() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == "9999"
    database.close()


def test_a_failed_migration_leaves_nothing_behind(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    database = Database.open(database_url)
    monkeypatch.setattr("alembic.op.create_index", explode)
    with pytest.raises(RuntimeError, match="boom"):
        upgrade(database)
    with database.reading() as connection:
        assert sa.inspect(connection).get_table_names() == []
    monkeypatch.undo()
    upgrade(database)
    database.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    path.write_text("These are my notes, not a database. " * 50)
    with pytest.raises(FailedPrecondition, match="is not a database"):
        JobStore.open(str(path))
    assert path.read_text().startswith("These are my notes")


def test_the_sqlite_file_uses_a_write_ahead_log(tmp_path: Path) -> None:
    JobStore.open(str(tmp_path / "jobs.db")).close()
    connection = sqlite3.connect(tmp_path / "jobs.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
