"""The ledger of a worker that does not see the job database."""

from __future__ import annotations

from pathlib import Path

from noyau.pipelines.file_ledger import FileLedger


def test_what_is_marked_is_found_by_another_process(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "ledger.jsonl"
    assert FileLedger(path).finished("predict") == {}
    FileLedger(path).mark("predict", "0/0/z0y0x0")
    FileLedger(path).mark("intensity", "0/0/all", {"low": 1.5})
    assert FileLedger(path).finished("predict") == {"0/0/z0y0x0": {}}
    assert FileLedger(path).finished("intensity") == {"0/0/all": {"low": 1.5}}


def test_a_line_that_was_cut_off_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    FileLedger(path).mark("predict", "a")
    with path.open("ab") as file:
        file.write(b'\n["predict", "b", {')
    FileLedger(path).mark("predict", "c")
    assert set(FileLedger(path).finished("predict")) == {"a", "c"}
