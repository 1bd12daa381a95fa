"""Synthetic images as a job: record, restart without redoing, and what a request is refused for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import AlreadyExists, InvalidInput, JobCancelled, NotFound
from noyau.domain.geometry import VoxelSize
from noyau.domain.progress import MemoryLedger, SilentReporter
from noyau.domain.training_jobs import SynthSpec
from noyau.pipelines import synth
from noyau.pipelines.context import PipelineContext
from noyau.training.synthetic import generate, recipe_named

SHAPE, VOXEL = (8, 32, 32), VoxelSize(1.75, 0.8, 0.8)


def context(tmp_path: Path, **changes: Any) -> PipelineContext:
    nothing: Any = None
    return PipelineContext(nothing, AccessPolicy.everything(), tmp_path / "work", nothing, **changes)


def request(tmp_path: Path, **changes: Any) -> SynthSpec:
    values = {"output": str(tmp_path / "set"), "count": 3, "shape": SHAPE, "voxel_size": VOXEL, "previews": False}
    return SynthSpec(**{**values, **changes})


def test_a_folder_gets_pairs_and_a_record(tmp_path: Path) -> None:
    result = synth.run(request(tmp_path, seed=4, recipe="tissue", previews=True), context(tmp_path))
    names = [Path(f).name for f in result.files]
    assert names == [f"tissue_{s:06d}.{kind}" for s in (4, 5, 6) for kind in ("npz", "png")] + ["synthetic.json"]
    record = json.loads((tmp_path / "set" / "synthetic.json").read_text())
    assert [image["seed"] for image in record["images"]] == [4, 5, 6]
    assert sum(image["nuclei"] for image in record["images"]) == result.nuclei > 0
    with np.load(tmp_path / "set" / "tissue_000005.npz") as pair:
        np.testing.assert_array_equal(pair["labels"], generate(SHAPE, VOXEL, 5, recipe_named("tissue")).labels)


def test_one_image_may_be_an_ome_zarr(tmp_path: Path) -> None:
    result = synth.run(request(tmp_path, output=str(tmp_path / "a.ome.zarr"), count=1), context(tmp_path))
    assert result.files == (str(tmp_path / "a.ome.zarr"),)
    assert (tmp_path / "a.ome.zarr" / "labels" / "truth").is_dir()


class StopAfter(SilentReporter):
    def __init__(self, images: int) -> None:
        self.left = images

    def progress(self, done: float, total: float, unit: str) -> None:
        self.left -= 1

    def check(self) -> None:
        if self.left == 0:
            raise JobCancelled("stopped")


def test_a_restarted_job_makes_only_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = MemoryLedger()
    with pytest.raises(JobCancelled):
        synth.run(request(tmp_path), context(tmp_path, ledger=ledger, reporter=StopAfter(2)))
    # The third was half made when the process died: its image is there, the ledger does not know.
    (tmp_path / "set" / "wide_000002.npz").write_bytes(b"half")
    seeds = []

    def counted(shape: Any, size: Any, seed: int, *rest: Any, **more: Any) -> Any:
        seeds.append(seed)
        return generate(shape, size, seed, *rest, **more)

    monkeypatch.setattr(synth, "generate", counted)
    result = synth.run(request(tmp_path), context(tmp_path, ledger=ledger))
    assert seeds == [2]
    again = synth.run(request(tmp_path, output=str(tmp_path / "other")), context(tmp_path))
    assert again.nuclei == result.nuclei
    for name in ("wide_000000.npz", "wide_000002.npz"):
        assert (tmp_path / "set" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_files_of_others_are_kept(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "wide_000001.npz").write_bytes(b"mine")
    with pytest.raises(AlreadyExists, match="wide_000001"):
        synth.run(request(tmp_path), context(tmp_path))
    assert [p.name for p in (tmp_path / "set").iterdir()] == ["wide_000001.npz"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"recipe": "soup"}, NotFound), ({"ndim": 4, "shape": None}, InvalidInput), ({"ndim": 2}, InvalidInput),
     ({"count": 0}, InvalidInput), ({"seed": -1}, InvalidInput)],
)  # fmt: skip
def test_nonsense_is_refused_and_leaves_nothing(tmp_path: Path, changes: dict, error: type[Exception]) -> None:
    with pytest.raises(error):
        synth.run(request(tmp_path, **changes), context(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_cleaning_up_removes_half_files_only(tmp_path: Path) -> None:
    synth.run(request(tmp_path, count=1), context(tmp_path))
    half, zarr = tmp_path / "set" / ".wide_000000.npz.partial", tmp_path / "set" / ".mine.partial"
    half.write_bytes(b"half")
    zarr.mkdir()
    synth.cleanup(request(tmp_path, count=1), context(tmp_path))
    assert not half.exists() and zarr.exists()
    assert (tmp_path / "set" / "wide_000000.npz").exists()
