"""Quotas of both versions of control groups count, of the own group and of those around it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from noyau.config import Settings
from noyau.domain import processors
from noyau.domain.processors import usable_processors
from noyau.wiring import threads_per_worker


@pytest.fixture(autouse=True)
def eight_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


def made(folder: Path, own: str, files: dict[str, str]) -> tuple[Path, Path]:
    """A tree of control groups, and what names the own one."""
    for name, text in files.items():
        (folder / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "groups" / name).write_text(text + "\n")
    (folder / "own").write_text(own + "\n")
    return folder / "groups", folder / "own"


def version_1(folder: str, quota: str, period: str) -> dict[str, str]:
    return {f"{folder}/cpu.cfs_quota_us": quota, f"{folder}/cpu.cfs_period_us": period}


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/", {"cpu.max": "200000 100000"}, 2),
        ("0::/", {"cpu.max": "max 100000"}, 8),
        ("0::/", {"cpu.max": "250000 100000"}, 2),
        ("0::/", {"cpu.max": "50000 100000"}, 1),
        ("0::/", {"cpu.max": "6400000 100000"}, 8),
        ("0::/", {}, 8),
        ("0::/", {"cpu.max": "nonsense"}, 8),
        ("0::/", {"cpu.max": "100000 0"}, 8),
        # Slurm and systemd set it on the group or above.
        ("0::/job/step", {"cpu.max": "max 100000", "job/cpu.max": "300000 100000", "job/step/cpu.max": "max 1000"}, 3),
        ("0::/job/step", {"job/cpu.max": "max 100000", "job/step/cpu.max": "400000 100000"}, 4),
        # In a container that sees the host's path, but only its own root.
        ("0::/../../pod", {"cpu.max": "300000 100000"}, 3),
        (
            "4:cpu,cpuacct:/docker/a",
            {"cpu,cpuacct/cpu.cfs_quota_us": "150000", "cpu,cpuacct/cpu.cfs_period_us": "50000"},
            3,
        ),
        ("4:cpu:/docker/a", {"cpu/docker/a/cpu.cfs_quota_us": "500000", "cpu/docker/a/cpu.cfs_period_us": "100000"}, 5),
        ("4:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ("5:memory:/a\n0::/", {"cpu.max": "200000 100000"}, 2),
    ],
)
def test_quotas(tmp_path: Path, own: str, files: dict[str, str], expected: int) -> None:
    assert usable_processors(*made(tmp_path, own, files)) == expected


def test_affinity_counts_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert usable_processors(*made(tmp_path, "0::/", {"cpu.max": "400000 100000"})) == 1


def test_without_control_groups_the_affinity_decides(tmp_path: Path) -> None:
    assert usable_processors(tmp_path / "none", tmp_path / "nothing") == 8


@pytest.mark.parametrize(("workers", "set_to", "expected"), [(1, None, 6), (2, None, 3), (9, None, 1), (2, 5, 5)])
def test_threads_of_a_worker_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, set_to: int | None, expected: int
) -> None:
    groups, own = made(tmp_path, "0::/", {"cpu.max": "600000 100000"})
    monkeypatch.setattr(processors.usable_processors, "__defaults__", (groups, own))
    assert threads_per_worker(Settings.model_validate({"jobs": {"workers": workers, "threads": set_to}})) == expected
