"""Synthetic images as files: names, formats, reproducibility, and nothing left behind after a refusal."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidInput,
    JobCancelled,
    LimitExceeded,
    NotFound,
    PermissionRefused,
)
from noyau.domain.geometry import Box, VoxelSize
from noyau.domain.image import ImageRef
from noyau.domain.progress import SilentReporter
from noyau.pipelines.synth import run_synth
from noyau.sources import open_image
from noyau.training.synthetic import generate, recipe_named

VOXEL = VoxelSize(1.75, 0.8, 0.8)
SHAPE = (10, 40, 48)


def test_a_folder_of_pairs_can_be_made_again_one_by_one(tmp_path: Path) -> None:
    made = run_synth(str(tmp_path / "many"), SHAPE, VOXEL, 7, "tissue", 3)
    assert [Path(m.path).name for m in made] == [f"tissue_{s:06d}.npz" for s in (7, 8, 9)]
    (alone,) = run_synth(str(tmp_path / "one.npz"), SHAPE, VOXEL, 8, "tissue")
    assert Path(alone.path).read_bytes() == Path(made[1].path).read_bytes()
    with np.load(alone.path) as pair:
        expected = generate(SHAPE, VOXEL, 8, recipe_named("tissue"))
        np.testing.assert_array_equal(pair["image"], expected.image)
        np.testing.assert_array_equal(pair["labels"], expected.labels)
        assert pair["voxel_size"].tolist() == [1.75, 0.8, 0.8]
    record = json.loads((tmp_path / "one.json").read_text())
    assert record["seed"] == 8 and record["nuclei"] == alone.nuclei
    assert Path(alone.preview).read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.rglob("*.partial"))


def test_one_plane_makes_two_dimensional_arrays(tmp_path: Path) -> None:
    (made,) = run_synth(str(tmp_path / "a.npz"), (1, 64, 72), None, 3, "culture_2d", preview=False)
    with np.load(made.path) as pair:
        assert pair["image"].shape == pair["labels"].shape == (64, 72)
    assert made.preview == "" and not (tmp_path / "a.png").exists()
    assert made.voxel_size.z == 1.0


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
def test_ome_zarr_holds_the_truth_as_labels(tmp_path: Path, ngff: str) -> None:
    (made,) = run_synth(str(tmp_path / "a.ome.zarr"), SHAPE, VOXEL, 7, "tissue", ngff=ngff)
    expected = generate(SHAPE, VOXEL, 7, recipe_named("tissue"))
    for part, array in (("", expected.image), ("/labels/truth", expected.labels)):
        with open_image(ImageRef(made.path + part), access=AccessPolicy.everything()) as source:
            np.testing.assert_array_equal(source.read(Box.of(source.info.shape)), array)
            assert source.info.voxel_size == VOXEL


def test_existing_files_are_kept_unless_told(tmp_path: Path) -> None:
    out = tmp_path / "a.npz"
    run_synth(str(out), SHAPE, VOXEL, 1)
    before = out.read_bytes()
    with pytest.raises(AlreadyExists, match=r"a\.npz"):
        run_synth(str(out), SHAPE, VOXEL, 2)
    assert out.read_bytes() == before
    run_synth(str(out), SHAPE, VOXEL, 2, overwrite=True)
    assert out.read_bytes() != before


@pytest.mark.parametrize(
    ("out", "options", "error"),
    [
        ("a.npz", {"n": 2}, InvalidInput),
        ("a.npz", {"fmt": "zarr"}, InvalidInput),
        ("a", {"fmt": "tiff"}, InvalidInput),
        ("a", {"n": 0}, InvalidInput),
        ("a", {"recipe_name": "soup"}, NotFound),
    ],
)
def test_nonsense_leaves_nothing_behind(tmp_path: Path, out: str, options: dict, error: type[Exception]) -> None:
    with pytest.raises(error):
        run_synth(str(tmp_path / out), SHAPE, VOXEL, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(FailedPrecondition, match="cannot be written"):
        run_synth(str(tmp_path / "file" / "a.npz"), SHAPE, VOXEL)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: IO[bytes], **arrays: np.ndarray) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(LimitExceeded, match="No space"):
        run_synth(str(tmp_path / "a.npz"), SHAPE, VOXEL)
    assert list(tmp_path.iterdir()) == []


def test_only_allowed_folders_are_written_to(tmp_path: Path) -> None:
    (tmp_path / "allowed").mkdir()
    access = AccessPolicy(roots=(str(tmp_path / "allowed"),))
    with pytest.raises(PermissionRefused):
        run_synth(str(tmp_path / "other"), SHAPE, VOXEL, access=access)
    assert [p.name for p in tmp_path.iterdir()] == ["allowed"]


def test_remote_folders_are_refused() -> None:
    with pytest.raises(InvalidInput, match="remote"):
        run_synth("s3://bucket/folder", SHAPE, VOXEL, n=2)


def test_progress_is_told_and_a_stop_is_heard(tmp_path: Path) -> None:
    class Stops(SilentReporter):
        def __init__(self) -> None:
            self.done: list[float] = []

        def progress(self, done: float, total: float, unit: str) -> None:
            self.done.append(done)

        def check(self) -> None:
            if len(self.done) == 2:
                raise JobCancelled("The job was cancelled.")

    reporter = Stops()
    with pytest.raises(JobCancelled):
        run_synth(str(tmp_path), SHAPE, VOXEL, 0, n=5, preview=False, reporter=reporter)
    assert reporter.done == [1, 2]
    assert len(list(tmp_path.glob("*.npz"))) == 2
