"""Tokens that may be used once: remembered until they expire, for all coordinators that share the database."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from noyau.jobs.database import Database
from noyau.jobs.schema import used_tokens


def use_once(database: Database, name: str, until: float) -> bool:
    """See `JobStore.use_once`."""
    # A digest has one length whatever the name's, and says nothing to a reader of the database.
    digest = hashlib.sha256(name.encode()).hexdigest()
    try:
        with database.writing() as connection:
            now = database.now_us(connection)
            connection.execute(sa.delete(used_tokens).where(used_tokens.c.until_us < now))
            connection.execute(sa.insert(used_tokens).values(digest=digest, until_us=int(until * 1e6)))
    except IntegrityError:
        return False
    return True
