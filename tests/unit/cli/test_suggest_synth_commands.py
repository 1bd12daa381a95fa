"""`noyau suggest` and `noyau synth --server`: what is submitted, and what is refused before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from noyau.cli import build_app
from noyau.commands import suggest as suggest_command
from noyau.commands import synth as synth_command
from noyau.domain.geometry import VoxelSize
from noyau.domain.image import ImageRef
from noyau.domain.training_jobs import SuggestSpec, SynthSpec
from typer.testing import CliRunner


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """(spec, run) of every job that a command would submit."""
    taken: list[Any] = []
    for command in (suggest_command, synth_command):
        monkeypatch.setattr(command, "run_job", lambda spec, run: taken.append((spec, run)))
    return taken


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(build_app(), list(arguments))
    return result.exit_code, result.stderr


def test_suggest_submits_what_was_asked(jobs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ("--model", "nuclei-3d@2", "-n", "4", "--crop", "16,64,64", "--time", "0-3", "--server", "host:1")
    code, err = run("suggest", "a.ome.zarr", "s3://b/c", "-o", "todo", "--voxel-size", "2,1,1", *arguments)
    assert code == 0, err
    ((spec, how),) = jobs
    images = tuple(ImageRef(uri, None, (0, 3)) for uri in (str(tmp_path / "a.ome.zarr"), "s3://b/c"))
    assert spec == SuggestSpec(images, str(tmp_path / "todo"), "nuclei-3d@2", 4, (16, 64, 64), VoxelSize(2.0, 1.0, 1.0))
    assert how.server == "host:1" and not how.local


def test_suggest_needs_a_place_and_at_least_one(jobs):
    assert run("suggest", "a.ome.zarr")[0] == 2
    assert run("suggest", "a.ome.zarr", "-o", "x", "-n", "0")[0] == 2
    assert run("suggest", "a.ome.zarr", "-o", "x", "--local", "--detach")[0] == 3
    assert jobs == []


def test_synth_goes_to_a_service_only_when_one_is_named(jobs, tmp_path, monkeypatch):
    monkeypatch.setenv("NOYAU_SERVER", "host:1")
    code, err = run("synth", str(tmp_path / "a.npz"), "--shape", "24,24", "--quiet", "--no-preview")
    assert code == 0, err
    assert jobs == [] and Path(tmp_path / "a.npz").exists()
    asked = ("--shape", "8,24,24", "-n", "5", "--seed", "7", "--recipe", "tissue", "--count", "9", "--format", "zarr")
    code, err = run("synth", str(tmp_path / "set"), *asked, "--voxel-size", "2,1,1", "--server", "host:2", "--detach")
    assert code == 0, err
    ((spec, how),) = jobs
    assert spec == SynthSpec(
        str(tmp_path / "set"), 3, 5, "tissue", 7, VoxelSize(2.0, 1.0, 1.0), (8, 24, 24), nuclei=9, fmt="zarr"
    )
    assert how.server == "host:2" and how.detach


def test_synth_refuses_what_only_one_of_the_ways_can(jobs, tmp_path):
    code, err = run("synth", str(tmp_path / "a.npz"), "--detach")
    assert code == 3 and "--server" in err
    code, err = run("synth", str(tmp_path / "a.ome.zarr"), "--server", "host:1", "--ngff", "0.4")
    assert code == 3 and "0.5" in err
    assert jobs == [] and list(tmp_path.iterdir()) == []
