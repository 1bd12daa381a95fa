"""Alembic runs this file. The connection, in a transaction, comes from `noyau.jobs.migrate`."""

from __future__ import annotations

from alembic import context
from noyau.jobs.schema import metadata

# Batch mode: SQLite cannot alter most things in place, so later migrations copy the table.
context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
