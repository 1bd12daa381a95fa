"""What the notes for operators say: their commands are run, their settings, files and codes exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from noyau.cli import build_app
from noyau.config import Settings
from noyau.config_mistakes import setting_paths, variable_name
from noyau.domain.image import ImageRef
from noyau.domain.jobs import JobResult, JobState, SegmentSpec
from noyau.jobs.store import JobStore
from noyau.operations.tally_figures import FIGURES
from typer.testing import CliRunner

NOTES = (Path(__file__).resolve().parents[3] / "deploy" / "OPERATIONS.md").read_text()
SPEC = SegmentSpec((ImageRef("a.ome.zarr"),))


def test_a_backup_of_a_database_in_use_is_restored_and_the_service_goes_on(tmp_path: Path) -> None:
    (line,) = re.findall(r"^python3 -c .*$", NOTES, flags=re.MULTILINE)
    with JobStore.open(str(tmp_path / "jobs.sqlite")) as store:
        ended, waiting = store.submit(SPEC), store.submit(SPEC)
        lease = store.claim("w")
        assert lease is not None
        store.finish(lease, JobState.SUCCEEDED, result=JobResult(nuclei=7))
        with store.database.reading() as reader:
            # In the middle of somebody's transaction, as in a running service.
            reader.exec_driver_sql("SELECT count(*) FROM jobs")
            _, *words = shlex.split(line)
            done = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        later = store.submit(SPEC)
    for name in ("jobs.sqlite", "jobs.sqlite-wal", "jobs.sqlite-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "backup.sqlite").rename(tmp_path / "jobs.sqlite")
    with JobStore.open(str(tmp_path / "jobs.sqlite")) as store:
        found = store.get(ended.id)
        assert found.result is not None and found.result.nuclei == 7
        assert later.id not in {job.id for job in store.list().jobs}
        lease = store.claim("w")
        assert lease is not None and lease.job.id == waiting.id


def test_every_setting_and_figure_exists(settings_of: Callable[[Mapping[str, str]], Settings]) -> None:
    known = {variable_name(path) for path in setting_paths(Settings)}
    assert set(re.findall(r"NOYAU_[A-Z_]+", NOTES)) <= known
    settings_of(dict(re.findall(r"`(NOYAU_[A-Z_]+)=([^`]+)`", NOTES)))
    assert FIGURES["group_jobs"].most == 100 and "first 100" in NOTES
    assert FIGURES["user_jobs"].most == 500 and "first 500" in NOTES


def serve(folder: Path, monkeypatch: pytest.MonkeyPatch, **variables: str) -> tuple[int, str]:
    """Exit code and words of a `noyau serve` that cannot start."""
    for name in [name for name in os.environ if name.startswith("NOYAU_")]:
        monkeypatch.delenv(name)
    given = {"STATE_DIR": str(folder / "state"), "LISTEN__ADDRESS": "127.0.0.1:0", **variables}
    for name, value in given.items():
        monkeypatch.setenv(f"NOYAU_{name}", value)
    done = CliRunner().invoke(build_app(), ["serve"])
    assert "Traceback" not in done.stderr
    return done.exit_code, done.stderr


@pytest.mark.parametrize(
    ("code", "variables", "told"),
    [
        (3, {"JOBS__WORKERZ": "1"}, "Did you mean"),
        (3, {"JOBS__WORKERS": "many"}, "Write a whole number"),
        (3, {"JOBS__KEEP_DAYS": "0"}, "jobs.keep_days"),
        (7, {"JOBS__DATABASE": "postgresql://noyau:secret@127.0.0.1:1/noyau"}, "does not answer"),
    ],
)
def test_codes_of_a_start_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, variables: dict[str, str], told: str
) -> None:
    found, words = serve(tmp_path, monkeypatch, **variables)
    assert found == code, words
    assert told in words
    assert "secret" not in words
    assert f"| {code} |" in NOTES


def test_a_newer_database_is_refused_with_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state").mkdir()
    with JobStore.open(str(tmp_path / "state" / "jobs.sqlite")) as store, store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    code, words = serve(tmp_path, monkeypatch)
    assert code == 11
    assert "newer version of Noyau" in words and "restore the backup" in words


def test_a_full_disk_is_named_with_its_code(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (small_disk / "filler").write_bytes(b"x" * 230_000)
    code, words = serve(small_disk, monkeypatch)
    assert code == 8, words
    assert "full" in words
