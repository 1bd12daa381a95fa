"""The table of robustness: what is done to the images, what is measured, and what each change costs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from noyau.bench import robustness
from noyau.bench.robustness import CLEAN, NOISE, Robustness, change_image, changes, measure_robustness
from noyau.commands.bench_robustness import bench_robustness, markdown, robustness_of
from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import VoxelSize
from noyau.pipelines.preview import Preview

KNOWN = {change.name: change for change in changes(3)}


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Two volumes of bright boxes, e1 and e2."""
    for name in ("e1_a", "e2_a", "e2_b"):
        labels = np.zeros((8, 40, 40), np.uint16)
        labels[1:5, 4:14, 4:14], labels[2:7, 20:34, 18:30] = 1, 2
        np.savez(tmp_path / f"{name}.npz", image=(100 + 400 * (labels > 0)).astype(np.uint16), labels=labels)
    return tmp_path


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, VoxelSize]]:
    """What the segmentation was given; it finds what is brighter than half, but nothing in noise."""
    given = []

    def run(image, *, voxel_size, **_):
        given.append((image, voxel_size))
        flat = len(np.unique(image)) > 2
        first, second = np.zeros((2, *image.shape), np.uint32)
        bright = image > (image.min() + image.max()) / 2
        first[..., :16], second[..., 16:] = bright[..., :16], 2 * bright[..., 16:]
        return Preview("m@1", labels=np.zeros_like(first) if flat else first + second)

    monkeypatch.setattr(robustness.preview, "run", run)
    return given


def test_every_change_does_what_its_name_says() -> None:
    image = np.random.default_rng(0).normal(10_000, 100, (6, 20, 20)).astype(np.uint16)
    image[2:4, 5:9, 5:9] = 20_000
    looks = {name: change_image(image, change, np.random.default_rng(0)) for name, change in KNOWN.items()}
    np.testing.assert_array_equal(looks[CLEAN], image)
    np.testing.assert_array_equal(looks["gain x0.25"], np.rint(image / 4))
    assert looks["gain x4"].max() == 65535 and looks["gain x4"].dtype == np.uint16
    np.testing.assert_array_equal(looks["offset +2000"], image + 2000)
    added = looks["noise"].astype(float) - image
    assert added.std() == pytest.approx(NOISE * (np.percentile(image, 99.8) - np.median(image)), rel=0.3)
    assert looks["blur"].max() < image.max()
    np.testing.assert_array_equal(looks["every second plane"], image[::2])


def test_bytes_are_not_cut_off_and_floats_stay_floats() -> None:
    bytes_, floats = np.full((2, 3, 3), 200, np.uint8), np.full((2, 3, 3), 0.5, np.float32)
    rng = np.random.default_rng(0)
    assert (change_image(bytes_, KNOWN["offset +2000"], rng) == 2200).all()
    found = change_image(floats, KNOWN["gain x0.25"], rng)
    assert found.dtype == np.float32 and (found == 0.125).all()


def test_a_plane_has_no_planes_to_leave_out() -> None:
    assert [change.name for change in changes(2)] == [change.name for change in changes(3)][:-1]
    plane = np.random.default_rng(0).integers(0, 99, (20, 20)).astype(np.uint16)
    assert {change_image(plane, change, np.random.default_rng(0)).shape for change in changes(2)} == {(20, 20)}


def test_each_change_is_measured_against_the_clean_images(pairs: Path, seen: list) -> None:
    rows = measure_robustness(Robustness("nuclei-3d", (str(pairs),), ("e2_*",), voxel_size=VoxelSize(2.0, 1.0, 1.0)))
    assert [row.condition for row in rows] == list(KNOWN)
    by_name = {row.condition: row for row in rows}
    assert by_name[CLEAN].f1_50 == 1.0 and by_name[CLEAN].cost == 0.0 and by_name[CLEAN].images == 2
    assert by_name["gain x4"].cost == 0.0 and by_name["every second plane"].f1_50 == 1.0
    assert by_name["noise"].f1_50 == 0.0 and by_name["noise"].cost == 1.0 and by_name["noise"].true == 4
    shapes = {(image.shape[0], size.z) for image, size in seen}
    assert shapes == {(8, 2.0), (4, 4.0)}
    assert "| noise | 0.000 | 0.000 | 0.000 | 1.000 | 4 | 0 |" in markdown(rows)


def test_the_table_is_shown_and_written(
    pairs: Path, seen: list, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    setup = robustness_of(["robustness"], [str(pairs)], ["e1_*"], model="nuclei-3d")
    table = tmp_path / "table.md"
    bench_robustness(setup, table, json=True, quiet=True)
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert len(table.read_text().splitlines()) == 2 + len(rows) and rows[0]["condition"] == CLEAN


def test_what_cannot_be_measured_is_told(pairs: Path) -> None:
    with pytest.raises(InvalidInput, match="no image"):
        measure_robustness(Robustness("nuclei-3d", (str(pairs),), ("x*",)))
    with pytest.raises(InvalidInput, match="needs pairs"):
        robustness_of(["robustness"], None, None)
    with pytest.raises(InvalidInput, match="alone"):
        robustness_of(["robustness", "models"], ["a"], ["b"])
