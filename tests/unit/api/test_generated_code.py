"""The committed protobuf code is what the .proto files give."""

from __future__ import annotations

from pathlib import Path

import pytest
from noyau.api.generate import FOLDERS, SERVICES, generate


@pytest.mark.slow
def test_regenerating_gives_the_committed_files(tmp_path: Path) -> None:
    generate(tmp_path)
    for virtual in FOLDERS:
        made = {path.name: path.read_text() for path in (tmp_path / virtual).iterdir()}
        committed = {p.name: p.read_text() for p in (SERVICES / virtual).glob("*_pb2*") if p.is_file()}
        assert made.keys() == committed.keys()
        for name, text in made.items():
            assert text == committed[name], f"{virtual}/{name} is out of date: run `make proto`"
