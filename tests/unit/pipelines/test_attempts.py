"""Fencing by files: a later attempt ends the orders of an earlier one."""

from __future__ import annotations

from pathlib import Path

import pytest
from noyau.domain.errors import JobCancelled
from noyau.pipelines import attempts


def test_only_the_latest_is_current(tmp_path: Path) -> None:
    attempts.begin(tmp_path, 1)
    assert attempts.is_current(tmp_path, 1)
    attempts.begin(tmp_path, 2)
    assert attempts.is_current(tmp_path, 2) and not attempts.is_current(tmp_path, 1)
    # The first process wakes: that changes nothing.
    attempts.begin(tmp_path, 1)
    assert attempts.is_current(tmp_path, 2) and not attempts.is_current(tmp_path, 1)
    attempts.end(tmp_path, 2)
    assert not attempts.is_current(tmp_path, 2)


def test_a_folder_that_is_gone_has_no_current_attempt(tmp_path: Path) -> None:
    assert not attempts.is_current(tmp_path / "gone", 1)


def test_a_check_sees_both_reasons_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "_LOOK_SECONDS", 0.0)
    attempts.begin(tmp_path, 1)
    wanted = True

    def check() -> None:
        if not wanted:
            raise JobCancelled("Not wanted.")

    both = attempts.guarded(tmp_path, 1, check)
    both()
    attempts.begin(tmp_path, 2)
    with pytest.raises(JobCancelled, match="taken the job over"):
        both()
    wanted = False
    with pytest.raises(JobCancelled, match="Not wanted"):
        both()
