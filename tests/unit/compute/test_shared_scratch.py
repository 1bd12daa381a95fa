"""The mark by which hosts know that they see the same folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from noyau.compute.shared_scratch import MARK, mark_scratch, not_the_same, read_mark
from noyau.domain.errors import FailedPrecondition


def test_the_first_mark_stays(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    mark = mark_scratch(folder)
    assert mark == mark_scratch(folder) == read_mark(folder)
    assert [path.name for path in folder.iterdir()] == [MARK]


def test_folders_have_marks_of_their_own(tmp_path: Path) -> None:
    assert mark_scratch(tmp_path / "a") != mark_scratch(tmp_path / "b")


def test_a_folder_that_no_coordinator_used_has_none(tmp_path: Path) -> None:
    assert read_mark(tmp_path) is None


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match="does not see the scratch folder") as caught:
        read_mark(tmp_path / "absent")
    assert "--scratch" in caught.value.remedy
    (tmp_path / "file").write_text("")
    with pytest.raises(FailedPrecondition, match="cannot be written"):
        mark_scratch(tmp_path / "file")


def test_another_folder_of_the_same_name(tmp_path: Path) -> None:
    assert str(tmp_path) in not_the_same(tmp_path).cause
