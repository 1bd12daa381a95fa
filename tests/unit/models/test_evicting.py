"""The least recently used copies make room, those in use stay, and several processes do not step on each other."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from noyau.domain.errors import NoyauError
from noyau.models.evicting import IN_USE_SECONDS, make_room, mark_used
from noyau.models.fetching import PackageCache
from noyau.models.index import StoredFile
from noyau.storage.store import Store

OLD = IN_USE_SECONDS + 60


def copy(root: Path, name: str, size: int, seconds_ago: float) -> Path:
    folder = root / name
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "weights").write_bytes(b"x" * size)
    os.utime(folder, (time.time() - seconds_ago,) * 2)
    return folder


def names(root: Path) -> set[str]:
    return {path.name for path in root.iterdir() if path.name != ".lock"}


@pytest.mark.parametrize(
    ("needed", "left"), [(0, {"a", "b", "c"}), (20_000, {"b", "c"}), (60_000, {"c"}), (10**9, set())]
)
def test_the_oldest_go_until_there_is_room(tmp_path: Path, needed: int, left: set[str]) -> None:
    for number, name in enumerate(("a", "b", "c")):
        copy(tmp_path, name, 30_000, OLD + 100 - number)
    make_room(tmp_path, 100_000, needed)
    assert names(tmp_path) == left


def test_what_was_used_a_moment_ago_stays(tmp_path: Path) -> None:
    copy(tmp_path, "old", 30_000, OLD)
    used = copy(tmp_path, "used", 30_000, OLD + 1)
    assert mark_used(tmp_path, used)
    make_room(tmp_path, 1, 0)
    assert names(tmp_path) == {"used"}
    assert not mark_used(tmp_path, tmp_path / "old")


def test_what_is_no_copy_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    copy(tmp_path, ".abc.partial", 30_000, OLD)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    make_room(tmp_path, 0, 0)
    assert {"notes.txt", ".abc.partial", "link"} <= names(tmp_path)


PROCESS = """
import sys, time
from pathlib import Path
from noyau.models import evicting
root, seed = Path(sys.argv[1]), int(sys.argv[2])
for turn in range(40):
    name = f"model{(seed + turn) % 5}"
    if not evicting.mark_used(root, root / name):
        partial = root / f".{name}.{seed}.{turn}.partial"
        partial.mkdir()
        (partial / "weights").write_bytes(b"x" * 1000)
        evicting.make_room(root, 2500, 1000)
        try:
            partial.rename(root / name)
        except OSError:
            pass
    # Whoever has asked for a copy can read it, whatever the others remove meanwhile.
    assert len((root / name / "weights").read_bytes()) == 1000
"""


def test_processes_that_evict_at_once_never_take_what_another_reads(tmp_path: Path) -> None:
    def run(seed: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", PROCESS, str(tmp_path), str(seed)]
        return subprocess.run(command, capture_output=True, text=True)

    with ThreadPoolExecutor(3) as pool:
        for done in pool.map(run, range(3)):
            assert done.returncode == 0, done.stderr


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NoyauError, match="the local copy of model m@1"):
        PackageCache(tmp_path / "file" / "cache").folder(
            Store(str(tmp_path)), "m@1", {"model.json": StoredFile(1, "0" * 64)}
        )
