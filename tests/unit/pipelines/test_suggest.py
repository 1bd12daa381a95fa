"""Suggestions from images to a folder of crops to correct, with a stand-in for the network that knows bright discs."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import AlreadyExists, InvalidInput, JobCancelled, LimitExceeded
from noyau.domain.geometry import Box, VoxelSize
from noyau.domain.image import ImageRef
from noyau.domain.jobs import JobResult
from noyau.domain.model import ModelInfo
from noyau.domain.progress import MemoryLedger, SilentReporter
from noyau.domain.training_jobs import SuggestSpec
from noyau.pipelines import suggest, suggest_crops, suggest_measure
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.pair_files import save_zarr
from noyau.pipelines.preview import Preview
from noyau.sources import open_image, open_labels
from scipy import ndimage as ndi

MODEL = ModelInfo(
    "bright", "1", "sha256:x", 2, "vote-unet", {}, None, 10.0, (0, 32, 32), (1, 4, 4), (1, 256, 256)
)  # fmt: skip
EVERYWHERE = AccessPolicy.everything()


class Registry:
    def get(self, ref: str) -> ModelInfo:
        return MODEL


def look(pixels: np.ndarray, *, intensity: Any, **_: Any) -> Preview:
    """Sure of what is clearly bright; where the picture is inverted the answer follows the gain."""
    scaled = (pixels.astype(float) - intensity.low) / (intensity.high - intensity.low)
    probability = np.round(255 / (1 + np.exp(-30 * (scaled - 0.35)))).astype(np.float32) / np.float32(255)
    labels, _count = ndi.label(probability > 0.5)
    return Preview(model=MODEL.ref, labels=labels.astype(np.uint32), probability=probability)


def discs(seed: int, strange: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(64), np.arange(64), indexing="ij"), -1)
    image = rng.normal(100, 4, (64, 64))
    for centre in rng.integers(8, 56, (6, 2)):
        inside = ((grid - centre) ** 2).sum(-1) < 30
        image[inside] = (rng.uniform(430, 600) if strange else 1000) + rng.normal(0, 4, int(inside.sum()))
    if strange:
        image[:4, :4] = 1000
    return image.astype(np.uint16)


@pytest.fixture
def images(tmp_path: Path) -> dict[str, str]:
    """Four familiar fields, one of them twice, two of a strange domain, and one without anything."""
    fields = {f"known{i}": discs(i) for i in range(3)}
    fields |= {"copy0": fields["known0"], "strange1": discs(11, True), "strange2": discs(12, True)}
    fields["empty"] = np.random.default_rng(5).poisson(100, (64, 64)).astype(np.uint16)
    places = {}
    for name, image in fields.items():
        places[name] = str(tmp_path / f"{name}.ome.zarr")
        nothing = np.zeros((1, 64, 64), np.uint8)
        save_zarr(
            places[name], image[None], nothing, VoxelSize(1.0, 0.5, 0.5),
            group="none", ngff="0.5", overwrite=False, access=EVERYWHERE,
        )  # fmt: skip
    return places


@pytest.fixture(autouse=True)
def _network(monkeypatch: pytest.MonkeyPatch) -> None:
    def seen(pixels: np.ndarray, *, intensity: Any, **rest: Any) -> Preview:
        empty = intensity.high - intensity.low < 200
        return look(np.zeros_like(pixels) if empty else pixels, intensity=intensity, **rest)

    monkeypatch.setattr(suggest_measure.preview, "run", seen)


def context(tmp_path: Path, **changes: Any) -> PipelineContext:
    registry: Any = Registry()
    nothing: Any = None
    return PipelineContext(registry, EVERYWHERE, tmp_path / "work", nothing, **changes)


def request(tmp_path: Path, images: dict[str, str], **changes: Any) -> SuggestSpec:
    values = {"images": tuple(ImageRef(uri) for uri in images.values()), "output": str(tmp_path / "out"), "count": 7}
    return SuggestSpec(**{**values, **changes})


def table(result: JobResult) -> list[dict[str, str]]:
    with Path(result.files[0]).open() as file:
        return list(csv.DictReader(file))


def test_strange_images_come_first_and_copies_and_empty_ones_not_at_all(tmp_path, images):
    result = suggest.run(request(tmp_path, images), context(tmp_path))
    names = [Path(row["image"]).name.split(".")[0] for row in table(result)]
    assert {*names[:2]} == {"strange1", "strange2"}
    assert {*names} >= {"strange1", "strange2"} and "empty" not in names
    assert not {"known0", "copy0"} <= {*names}
    scores = {name: float(row["score"]) for name, row in zip(names, table(result), strict=True)}
    assert min(scores["strange1"], scores["strange2"]) > 2 * max(v for k, v in scores.items() if "strange" not in k)
    assert "suggestions are worth making" in result.warnings[-1] and result.model == "bright@1"


def test_the_folder_holds_crops_with_labels_a_table_a_record_and_a_picture(tmp_path, images):
    result = suggest.run(request(tmp_path, images, count=2, crop=(1, 40, 48)), context(tmp_path))
    assert {p.name for p in (tmp_path / "out").iterdir()} == {Path(f).name for f in result.files}
    assert Path(result.files[2]).read_bytes().startswith(b"\x89PNG")
    record = json.loads(Path(result.files[1]).read_text())
    assert record["models"] == [{"model": "bright@1", "digest": "sha256:x"}] and record["looked_at"] == 14
    for row in record["suggestions"]:
        box = Box((row["z"], row["y"], row["x"]), (row["z"] + 1, row["y"] + row["height"], row["x"] + row["width"]))
        with open_image(ImageRef(row["image"]), access=EVERYWHERE) as whole:
            expected = whole.read(box)
        place = str(tmp_path / "out" / row["file"])
        with open_image(ImageRef(place), access=EVERYWHERE) as crop, open_labels(place, access=EVERYWHERE) as labels:
            np.testing.assert_array_equal(crop.read(Box.of(crop.info.shape)), expected)
            assert crop.info.voxel_size == VoxelSize(1.0, 0.5, 0.5)
            assert labels.read(Box.of(crop.info.shape)).max() >= 1
            assert labels.ref.uri.endswith("/labels/nuclei")
    assert not [p for p in tmp_path.iterdir() if "partial" in p.name]


class StopAt(SilentReporter):
    def __init__(self, crops: int) -> None:
        self.left = crops

    def progress(self, done: float, total: float, unit: str) -> None:
        self.left -= unit == "crop"

    def check(self) -> None:
        if self.left <= 0:
            raise JobCancelled("stopped")


def test_a_restarted_job_looks_only_at_what_is_left_and_says_the_same(tmp_path, images, monkeypatch):
    ledger, looked = MemoryLedger(), []
    with pytest.raises(JobCancelled):
        suggest.run(request(tmp_path, images), context(tmp_path, ledger=ledger, reporter=StopAt(4)))
    judge = suggest_measure.Judge.judge
    monkeypatch.setattr(suggest_measure.Judge, "judge", lambda *a: looked.append(a[1].key) or judge(*a))
    resumed = suggest.run(request(tmp_path, images), context(tmp_path, ledger=ledger))
    assert len(looked) == 3
    fresh = suggest.run(request(tmp_path, images, output=str(tmp_path / "again")), context(tmp_path))
    assert table(resumed) == table(fresh)


def test_what_is_there_is_kept_unless_it_is_ours_and_may_go(tmp_path, images):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(AlreadyExists):
            suggest.run(request(tmp_path, images, overwrite=overwrite), context(tmp_path))
    assert (tmp_path / "out" / "thesis.txt").read_text() == "mine"
    suggest.cleanup(request(tmp_path, images), context(tmp_path))
    ours = request(tmp_path, images, output=str(tmp_path / "ours"), count=3)
    suggest.run(ours, context(tmp_path))
    suggest.run(request(tmp_path, images, output=str(tmp_path / "ours"), count=1, overwrite=True), context(tmp_path))
    assert len(list((tmp_path / "ours").glob("*.ome.zarr"))) == 1


def test_a_failed_job_is_cleaned_up(tmp_path, images, monkeypatch):
    def fail(*_: Any) -> bytes:
        raise JobCancelled("now")

    monkeypatch.setattr(suggest, "draw_sheet", fail)
    with pytest.raises(JobCancelled):
        suggest.run(request(tmp_path, images), context(tmp_path))
    suggest.cleanup(request(tmp_path, images), context(tmp_path))
    assert not [p for p in tmp_path.iterdir() if p.name not in {Path(uri).name for uri in images.values()}]


def test_nonsense_is_refused(tmp_path, images, monkeypatch):
    with pytest.raises(InvalidInput):
        suggest.run(request(tmp_path, images, count=0), context(tmp_path))
    with pytest.raises(InvalidInput):
        suggest.run(request(tmp_path, {}), context(tmp_path))
    with pytest.raises(InvalidInput):
        suggest.run(request(tmp_path, images, crop=(1, 0, 4)), context(tmp_path))
    with pytest.raises(InvalidInput):
        suggest.run(request(tmp_path, images, output="s3://bucket/out"), context(tmp_path))
    monkeypatch.setattr(suggest_crops, "MOST_VOXELS", 1000)
    with pytest.raises(LimitExceeded, match="--crop"):
        suggest.run(request(tmp_path, images), context(tmp_path))
    assert not (tmp_path / "out").exists()


def test_crops_cover_an_image_side_by_side(tmp_path, images):
    with open_image(ImageRef(images["known0"]), access=EVERYWHERE) as source:
        crops = list(suggest_crops.crops_of(0, source.ref, source.info, (4, 40, 30)))
    assert [c.box.start for c in crops] == [(0, 0, 0), (0, 0, 30), (0, 24, 0), (0, 24, 30)]
    assert {c.box.shape for c in crops} == {(1, 40, 30)}
