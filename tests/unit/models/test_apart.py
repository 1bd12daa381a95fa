"""Work on packages in a process of its own: its answers, its errors, and what happens when it does not come back."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from noyau.domain.errors import DeadlineExceeded, InternalError, NotFound
from noyau.models.apart import run_apart, run_here
from noyau.models.leftovers import OLD_SECONDS, remove_old


def children() -> set[str]:
    """Ids of the child processes of all threads of this one (proc(5))."""
    return {pid for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()}


def test_an_error_comes_back_as_what_it_was(tmp_path: Path) -> None:
    for run in (run_apart, run_here):
        with pytest.raises(NotFound, match="no model package at") as caught:
            run("test", {"folder": str(tmp_path / "none")})
        assert caught.value.remedy


def test_a_mistake_of_ours_is_told_as_one() -> None:
    with pytest.raises(InternalError, match="unexpectedly"):
        run_apart("test", {"no such argument": 1})


def test_what_takes_too_long_is_ended(tmp_path: Path) -> None:
    before = children()
    with pytest.raises(DeadlineExceeded):
        run_apart("test", {"folder": str(tmp_path)}, seconds=0.05)
    # Fixtures of other tests may have processes of their own.
    assert children() <= before


def test_only_old_folders_of_the_name_are_removed(tmp_path: Path) -> None:
    for name in ("a-old", "a-new", "b-old"):
        (tmp_path / name / "below").mkdir(parents=True)
        (tmp_path / name / "below" / "file").touch()
    (tmp_path / "a-file").touch()
    long_ago = time.time() - OLD_SECONDS - 10
    for name in ("a-old", "b-old", "a-file"):
        os.utime(tmp_path / name, (long_ago, long_ago))
    remove_old(tmp_path, "a-*")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-file", "a-new", "b-old"]
    remove_old(tmp_path / "none", "*")
