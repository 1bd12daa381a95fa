"""The tables of the job store. Changes go through a migration in `migrations/versions`, never only here.

Times are microseconds since 1970 UTC in BIGINT columns: the same on SQLite and PostgreSQL, exact, and comparable
in SQL. JSON lives in TEXT columns, because the store never looks inside.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

NAME_LENGTH = 200
"""Longest owner, group and idempotency key, in characters."""
TRACE_LENGTH = 64

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

# SQLite counts up by itself only in a column that is exactly INTEGER PRIMARY KEY.
_Number = BigInteger().with_variant(Integer, "sqlite")

jobs = Table(
    "jobs",
    metadata,
    # The order of submission: first come first served, and the key of stable paging.
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", String(40), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("spec", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("owner", String(NAME_LENGTH), nullable=False),
    Column("group_name", String(NAME_LENGTH), nullable=False),
    Column("priority", Integer, nullable=False),
    # NULL where the caller gave none; both databases let NULLs repeat under a unique constraint.
    Column("idempotency_key", String(NAME_LENGTH)),
    # How often a worker started the job.
    Column("attempts", Integer, nullable=False, server_default="0"),
    # Ends without progress since the last finished unit: the worker died under its supervisor (crashes), or the
    # whole service or host went away (interruptions). They have limits of their own.
    Column("crashes", Integer, nullable=False, server_default="0"),
    Column("interruptions", Integer, nullable=False, server_default="0"),
    Column("created_us", BigInteger, nullable=False),
    Column("started_us", BigInteger),
    Column("finished_us", BigInteger),
    # When somebody asked to cancel; NULL where nobody did.
    Column("cancel_us", BigInteger),
    Column("error", Text),
    Column("result", Text),
    # Who runs it (see identity.py), until when that is believed without a heartbeat, and the fencing token: it grows
    # whenever the job changes hands, and every write of a worker names the one that it was given.
    Column("worker", String(400)),
    Column("fence", BigInteger, nullable=False, server_default="0"),
    Column("lease_until_us", BigInteger),
    # Sequence number of the newest event; it grows in the transaction that inserts the event, so there are no gaps.
    Column("last_seq", Integer, nullable=False, server_default="0"),
    # A final job whose scratch folder and half-written output are still to be removed.
    Column("cleanup", Boolean, nullable=False, server_default=false()),
    # The trace that the job belongs to, as the header `traceparent` of its submission; NULL where there was none.
    Column("trace", String(TRACE_LENGTH)),
    # An ended job that the tallies count; only such a job may be forgotten.
    Column("tallied", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("id"),
    UniqueConstraint("owner", "idempotency_key"),
    Index(None, "state", "priority", "number"),
    Index(None, "group_name", "state"),
    Index(None, "cleanup", "lease_until_us"),
    Index(None, "tallied", "state", "number"),
    # Never hand out the number of a deleted job again.
    sqlite_autoincrement=True,
)

events = Table(
    "events",
    metadata,
    Column("job_number", _Number, ForeignKey("jobs.number", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("time_us", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("payload", Text, nullable=False),
)

units = Table(
    "units",
    metadata,
    Column("job_number", _Number, ForeignKey("jobs.number", ondelete="CASCADE"), primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("time_us", BigInteger, nullable=False),
    Column("payload", Text, nullable=False),
)

groups = Table(
    "groups",
    metadata,
    Column("name", String(NAME_LENGTH), primary_key=True),
    # When a job of the group was last started; the group that waited longest comes next.
    Column("served_us", BigInteger, nullable=False),
)

used_tokens = Table(
    "used_tokens",
    metadata,
    # SHA-256 of the token's issuer and identifier, hexadecimal: nothing that could be used again.
    Column("digest", String(64), primary_key=True),
    # When the token expires, and the row with it.
    Column("until_us", BigInteger, nullable=False),
    Index(None, "until_us"),
)

tallies = Table(
    "tallies",
    metadata,
    # Sums over all jobs that have ended, by a figure's name and the values of its labels (a JSON list).
    Column("figure", String(60), primary_key=True),
    Column("labels", Text, primary_key=True),
    Column("value", Double, nullable=False),
)
