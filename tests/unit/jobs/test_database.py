"""Connections: which URLs are taken, and what is said when the database does not answer."""

from __future__ import annotations

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from noyau.domain.errors import FailedPrecondition, InvalidInput, Unavailable
from noyau.domain.jobs import SegmentSpec
from noyau.jobs.database import Database
from noyau.jobs.store import JobStore
from sqlalchemy.engine import make_url


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://u:secret@h/d", "http://", "sqlite:///"])
def test_urls_that_cannot_serve_are_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Database.open(url)
    assert "secret" not in str(caught.value)
    assert "sqlite:///path" in caught.value.remedy


def test_a_folder_is_made_for_the_file(tmp_path: Path) -> None:
    with JobStore.open(f"sqlite:///{tmp_path}/deep/er/jobs.db") as store:
        assert store.list().jobs == ()


def test_an_absent_server_is_named_without_its_password() -> None:
    with pytest.raises(Unavailable, match=r"postgresql\+psycopg://ada:\*\*\*@127.0.0.1:9/jobs") as caught:
        JobStore.open("postgresql://ada:secret@127.0.0.1:9/jobs")
    assert "secret" not in str(caught.value)


def test_a_folder_in_place_of_the_file_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=str(tmp_path)):
        JobStore.open(f"sqlite:///{tmp_path}")


def test_a_write_lock_of_another_process_is_waited_for(tmp_path: Path, spec: SegmentSpec) -> None:
    with JobStore.open(str(tmp_path / "jobs.db")) as store, ThreadPoolExecutor(1) as pool:
        job = store.submit(spec)
        other = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        waiting = pool.submit(store.submit, spec)
        assert store.get(job.id) == job, "readers do not wait"
        time.sleep(0.2)
        assert not waiting.done()
        other.execute("ROLLBACK")
        other.close()
        assert waiting.result(10).id != job.id


def test_a_read_only_database_is_named(tmp_path: Path, spec: SegmentSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    JobStore.open(str(tmp_path / "jobs.db")).close()
    database = Database.open(f"sqlite:///file:{tmp_path}/jobs.db?mode=ro&uri=true")
    store = JobStore(database)
    with pytest.raises(FailedPrecondition, match="is read-only"):
        store.submit(spec)
    store.close()
    assert not (tmp_path / "file:").exists()


def test_a_failed_write_leaves_nothing(store: JobStore, spec: SegmentSpec) -> None:
    job = store.submit(spec)
    with pytest.raises(RuntimeError), store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE jobs SET priority = 99")
        raise RuntimeError
    assert store.get(job.id).priority == 0


def test_the_clock_of_the_database_runs(store: JobStore) -> None:
    with store.database.reading() as connection:
        first = store.database.now_us(connection)
        time.sleep(0.01)
        second = store.database.now_us(connection)
    assert 5_000 < second - first < 5_000_000
    assert abs(second / 1e6 - time.time()) < 60


@pytest.mark.postgres
def test_a_host_that_stops_in_a_transaction_loses_its_locks(postgres_url: str) -> None:
    """Else the job whose row it has locked could never be recovered."""
    database = Database.open(postgres_url)
    with database.reading() as connection:
        for setting, value in (("idle_in_transaction_session_timeout", "10s"), ("lock_timeout", "30s")):
            assert connection.exec_driver_sql(f"SHOW {setting}").scalar() == value
    database.close()


@pytest.mark.postgres
def test_a_database_without_an_encoding_keeps_text(postgres_server: str, spec: SegmentSpec) -> None:
    import psycopg

    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    try:
        name = "Zellkern \N{GREEK SMALL LETTER MU}m"
        url = make_url(postgres_server).set(drivername="postgresql+psycopg", database="ascii")
        with JobStore.open(url.render_as_string(hide_password=False)) as store:
            job = store.submit(spec, group=name)
            assert store.get(job.id).group == name
    finally:
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            connection.execute("DROP DATABASE ascii WITH (FORCE)")
