"""Connections and transactions on SQLite and PostgreSQL, and the one clock that leases are measured with.

Clock: on PostgreSQL it is the database server's, whatever the clocks of the coordinators say. SQLite serves the
processes of one host, so it is that host's. A step of the clock can at worst end a lease too early or too late;
the fencing token keeps that safe: two workers may then compute the same unit, but only one can record anything.
"""

from __future__ import annotations

import fcntl
import shutil
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from noyau.domain.errors import FailedPrecondition, InvalidInput, LimitExceeded, NoyauError, Unavailable

_WRITE = "noyau_write"
_BUSY_SECONDS = 30
_IDLE_SECONDS = 10
# What SQLite needs at least beside a database: the index of its write-ahead log.
_LEAST_FREE = 64 * 2**10
_SPACE = 20261
"""First half of the keys of locks on names, apart from those of `serialise`."""


class Database:
    """An engine with two kinds of transactions. Safe to use from several threads; call `close` at the end."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.label = engine.url.render_as_string(hide_password=True)
        self.is_sqlite = engine.dialect.name == "sqlite"

    @staticmethod
    def open(url: str) -> Database:
        """Connects lazily to `sqlite:///path`, a plain path, or `postgresql://...`.

        Raises:
            InvalidInput: the URL is neither, or a database in memory, which worker processes could not share.
        """
        parsed = _parse(url)
        if parsed.get_backend_name() != "sqlite":
            # Connections may have died while they waited in the pool (database restart, idle firewall).
            # A database of the encoding SQL_ASCII would hand out bytes where text is expected.
            engine = sa.create_engine(parsed, pool_pre_ping=True, connect_args={"client_encoding": "utf8"})
            event.listen(engine, "connect", _prepare_postgresql)
            return Database(engine)
        # SQLite's own URIs (`file:...?mode=ro`) name a file that is there; they are no paths to make folders of.
        if not (parsed.database or "").startswith("file:"):
            Path(parsed.database or "").parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(parsed, connect_args={"timeout": _BUSY_SECONDS})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return Database(engine)

    @staticmethod
    def check_url(url: str) -> None:
        """Raises InvalidInput where `open` would, without making or opening anything."""
        _parse(url)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads.

        Raises:
            Unavailable: the database does not answer.
        """
        with self._translated(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that may write. On SQLite it takes the write lock at once, so it never has to be retried.

        Raises:
            Unavailable: the database does not answer.
            LimitExceeded: its disk is full.
            FailedPrecondition: it is read-only.
        """
        with self._translated(), self._engine.connect() as raw:
            connection = raw.execution_options(**{_WRITE: True})
            with connection.begin():
                yield connection

    def now_us(self, connection: Connection) -> int:
        """Microseconds since 1970 UTC by the clock that leases are measured with."""
        if self.is_sqlite:
            return time.time_ns() // 1000
        return int(connection.scalar(sa.text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")) or 0)

    def serialise(self, connection: Connection, name: str) -> None:
        """Lets one transaction at a time pass that gives the same name; SQLite's write lock does that anyway."""
        if not self.is_sqlite:
            key = zlib.crc32(f"noyau:{name}".encode())
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})

    def lock_name(self, name: str) -> NameLock | None:
        """Takes a name for as long as this process lives, or until it is closed; None where another one has it.

        Raises:
            Unavailable: the database does not answer.
        """
        if self.is_sqlite:
            return NameLock.on_file(Path(f"{self._engine.url.database}.{zlib.crc32(name.encode()):08x}.lock"))
        with self._translated():
            return NameLock.on_postgresql(self._engine, name)

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turns failures of the database, not of our SQL, into errors that a caller understands."""
        try:
            yield
        except (OperationalError, PoolTimeout, OSError) as error:
            raise _explain(error, self.label, self._is_disk_full()) from error

    def _is_disk_full(self) -> bool:
        """Whether SQLite has no room left; when it opens a database it says so only as an I/O error."""
        if not self.is_sqlite:
            return False
        try:
            return shutil.disk_usage(Path(self._engine.url.database or ".").parent).free < _LEAST_FREE
        except OSError:
            return False


class NameLock:
    """A name that one process has. The system frees it when the process dies, however it dies."""

    def __init__(self, close: Callable[[], None]) -> None:
        self.close = close

    @staticmethod
    def on_file(path: Path) -> NameLock | None:
        """By a lock on a file beside the database."""
        file = path.open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return None
        return NameLock(file.close)

    @staticmethod
    def on_postgresql(engine: Engine, name: str) -> NameLock | None:
        """By a connection of its own, which holds an advisory lock of the session."""
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        # Not back into the pool at its end, where the lock would stay.
        connection.detach()
        # A signed number of 32 bits.
        key = zlib.crc32(name.encode()) - 2**31
        # The server is to notice within a minute when the host of this process is gone, and free the name.
        for option in ("tcp_keepalives_idle = 20", "tcp_keepalives_interval = 10", "tcp_keepalives_count = 3"):
            connection.exec_driver_sql(f"SET {option}")
        if not connection.scalar(sa.text("SELECT pg_try_advisory_lock(:space, :key)"), {"space": _SPACE, "key": key}):
            connection.close()
            return None
        return NameLock(connection.close)


def _parse(url: str) -> URL:
    if "://" not in url:
        url = f"sqlite:///{url}"
    remedy = "Give sqlite:///path/to/file.db or postgresql://user:password@host/database."
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        # The text may hold a password, so it is not repeated.
        raise InvalidInput("The database URL cannot be read.", remedy) from error
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise InvalidInput("A database in memory cannot be shared with worker processes.", remedy)
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise InvalidInput(f"Databases of type {parsed.drivername!r} are not supported.", remedy)
    return parsed


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver must not open transactions by itself (https://docs.sqlalchemy.org/en/20/dialects/sqlite.html).
    connection.isolation_level = None
    cursor = connection.cursor()
    # FULL: what Submit acknowledged survives a power cut, too.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _prepare_postgresql(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        # A host that stops in the middle of a transaction (paused, cut off) must not keep its rows locked, or the job
        # in its hands could never be given to another one.
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'")
        cursor.execute(f"SET lock_timeout = '{_BUSY_SECONDS}s'")
    connection.commit()


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _explain(error: Exception, label: str, full: bool) -> NoyauError:
    text = str(error.orig if isinstance(error, DBAPIError) else error).lower()
    if "disk is full" in text or "no space left" in text or (full and "locked" not in text):
        return LimitExceeded(f"The disk of the job database {label} is full.", "Free some space and try again.")
    if "readonly database" in text or "read-only" in text:
        return FailedPrecondition(f"The job database {label} is read-only.", "Give the service the right to write it.")
    if "not a database" in text:
        return FailedPrecondition(f"{label} is not a database.", "Move the file away or give another path.")
    return Unavailable(f"The job database {label} does not answer.", "Check that it runs and can be reached.")
