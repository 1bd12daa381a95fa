"""Jobs, their events, their finished units, and the groups that share the workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NAME = sa.String(200)


def _number() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Written out on purpose: a migration must not change when the tables in `schema` do."""
    _create_jobs()
    _create_events_and_units()
    op.create_table(
        "groups",
        sa.Column("name", _NAME, nullable=False),
        sa.Column("served_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_groups"),
    )


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("number", _number(), primary_key=True, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("owner", _NAME, nullable=False),
        sa.Column("group_name", _NAME, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("idempotency_key", _NAME),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("crashes", sa.Integer, nullable=False, server_default="0"),
        sa.Column("interruptions", sa.Integer, nullable=False, server_default="0"),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("started_us", sa.BigInteger),
        sa.Column("finished_us", sa.BigInteger),
        sa.Column("cancel_us", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.Column("result", sa.Text),
        sa.Column("worker", sa.String(400)),
        sa.Column("fence", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("lease_until_us", sa.BigInteger),
        sa.Column("last_seq", sa.Integer, nullable=False, server_default="0"),
        sa.Column("cleanup", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("number", name="pk_jobs"),
        sa.UniqueConstraint("id", name="uq_jobs_id"),
        sa.UniqueConstraint("owner", "idempotency_key", name="uq_jobs_owner_idempotency_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_state_priority_number", "jobs", ["state", "priority", "number"])
    op.create_index("ix_jobs_group_name_state", "jobs", ["group_name", "state"])
    op.create_index("ix_jobs_cleanup_lease_until_us", "jobs", ["cleanup", "lease_until_us"])


def _create_events_and_units() -> None:
    op.create_table(
        "events",
        sa.Column("job_number", _number(), nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("time_us", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("job_number", "seq", name="pk_events"),
        sa.ForeignKeyConstraint(["job_number"], ["jobs.number"], name="fk_events_job_number", ondelete="CASCADE"),
    )
    op.create_table(
        "units",
        sa.Column("job_number", _number(), nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("time_us", sa.BigInteger, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("job_number", "stage", "unit", name="pk_units"),
        sa.ForeignKeyConstraint(["job_number"], ["jobs.number"], name="fk_units_job_number", ondelete="CASCADE"),
    )
