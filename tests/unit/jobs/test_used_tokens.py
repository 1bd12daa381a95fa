"""Tokens that may be used once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa
from noyau.jobs.schema import used_tokens
from noyau.jobs.store import JobStore


def test_a_token_passes_once_also_when_many_try_at_once(store: JobStore) -> None:
    until = time.time() + 60
    with ThreadPoolExecutor(4) as pool:
        passed = list(pool.map(lambda _: store.use_once("issuer a", until), range(8)))
    assert sum(passed) == 1
    assert store.use_once("issuer b", until)


def test_what_has_expired_is_forgotten_and_names_are_not_kept(store: JobStore) -> None:
    assert store.use_once("secret-name", time.time() - 1)
    assert store.use_once("other", time.time() + 60)
    with store.database.reading() as connection:
        rows = connection.execute(sa.select(used_tokens)).all()
    assert len(rows) == 1
    assert "other" not in repr(rows) and "secret-name" not in repr(rows)
