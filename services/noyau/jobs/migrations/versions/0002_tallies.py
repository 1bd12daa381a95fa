"""Figures that outlive the jobs that they count, and the trace that a job belongs to.

Columns are added in place: copying the table `jobs`, as Alembic's batch mode does on SQLite, would drop the old one,
and with it, by the foreign keys, all events and finished units.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """No job that has ended so far is counted; the first look at the figures does that."""
    op.add_column("jobs", sa.Column("trace", sa.String(64)))
    op.add_column("jobs", sa.Column("tallied", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index("ix_jobs_tallied_state_number", "jobs", ["tallied", "state", "number"])
    op.create_table(
        "tallies",
        sa.Column("figure", sa.String(60), nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("figure", "labels", name="pk_tallies"),
    )
