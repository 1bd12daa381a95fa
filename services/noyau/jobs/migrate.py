"""Brings the database to the schema of this version when the service starts."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DatabaseError

from noyau.domain.errors import FailedPrecondition
from noyau.jobs.database import Database

_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(database: Database) -> None:
    """Creates or migrates the tables, in one transaction, while other processes that try the same wait.

    Raises:
        FailedPrecondition: a newer version of Noyau has written the database, or the file is no database.
        Unavailable: the database does not answer.
    """
    if database.is_sqlite:
        _use_write_ahead_log(database)
    with database.writing() as connection:
        database.serialise(connection, "migrate")
        refuse_newer(connection, database.label)
        command.upgrade(_config(connection), "head")


def refuse_newer(connection: Connection, label: str) -> None:
    """Raises FailedPrecondition where the schema's revision is not one of ours."""
    known = {script.revision for script in ScriptDirectory.from_config(_config(connection)).walk_revisions()}
    found = MigrationContext.configure(connection).get_current_heads()
    unknown = [revision for revision in found if revision not in known]
    if unknown:
        raise FailedPrecondition(
            f"The job database {label} has schema {unknown[0]!r}, which a newer version of Noyau has written.",
            "Start that version or a newer one, or restore the backup made before the upgrade.",
        )


def current(database: Database) -> str:
    """The revision of the database's schema, empty where it has no tables of ours. Changes nothing.

    Raises:
        FailedPrecondition: a newer version of Noyau has written the database, or the file is no database.
        Unavailable: the database does not answer.
    """
    try:
        with database.reading() as connection:
            refuse_newer(connection, database.label)
            return ", ".join(MigrationContext.configure(connection).get_current_heads())
    except DatabaseError as error:
        raise FailedPrecondition(
            f"{database.label} is not a database.", "Move the file away or give another path."
        ) from error


def head() -> str:
    """The newest revision that this version knows."""
    return ScriptDirectory(str(_SCRIPTS)).get_current_head() or ""


def _use_write_ahead_log(database: Database) -> None:
    """Readers and one writer at once (https://www.sqlite.org/wal.html); the file remembers it."""
    try:
        with database.reading() as connection:
            # The pragma does nothing inside a transaction.
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            connection.exec_driver_sql("BEGIN")
    except DatabaseError as error:
        raise FailedPrecondition(
            f"{database.label} is not a database.", "Move the file away or give another path."
        ) from error


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
