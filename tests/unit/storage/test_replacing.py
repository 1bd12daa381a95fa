"""Replacing a folder as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from noyau.domain.errors import AlreadyExists
from noyau.storage.replacing import discard, replacing
from noyau.storage.store import Store


def test_the_new_takes_the_place_of_the_old_and_nothing_else_stays(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.write("a/old", b"")
    with replacing(store, "a", tag="t", overwrite=True) as out:
        out.write("new", b"")
        assert store.read("a/old") is not None
    assert store.names() == ["a/new"]


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_failure_keeps_the_old(tmp_path: Path, overwrite: bool) -> None:
    store = Store(str(tmp_path))
    store.write("a/old", b"")
    with pytest.raises(KeyboardInterrupt), replacing(store, "a", tag="t", overwrite=overwrite) as out:
        out.write("new", b"")
        raise KeyboardInterrupt
    assert store.names() == ["a/old"] and store.folders() == ["a"]


def test_somebody_else_was_faster(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with pytest.raises(AlreadyExists), replacing(store, "a", tag="t", overwrite=False) as out:
        out.write("new", b"")
        store.write("a/theirs", b"")
    assert store.names() == ["a/theirs"] and store.folders() == ["a"]


def test_what_was_set_aside_comes_back_when_its_place_is_free(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.write(".a.t.old/1", b"")
    store.write(".a.t.partial/2", b"")
    discard(store, "a", tag="t")
    assert store.names() == ["a/1"]
    store.write(".a.t.old/1", b"")
    discard(store, "a", tag="t")
    assert store.names() == ["a/1"] and store.folders() == ["a"]
