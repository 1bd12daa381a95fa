"""The curve over labelled crops: which crops, what is measured, and what is written."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from noyau.bench.few_labels import PICTURE, TABLE, FewLabels, measure_few_labels
from noyau.bench.labelled_crops import Sample, cut_crop, read_samples, spread
from noyau.domain.errors import InvalidInput
from noyau.domain.model import ModelInfo
from noyau.models.networks import build
from noyau.models.package import write_package
from noyau.models.receptive_field import halo_for

LEVELS = [
    {"channels": 4, "stride": [1, 1], "down": [[3, 3]], "up": [[3, 3]]},
    {"channels": 6, "stride": [2, 2], "down": [[3, 3]]},
]
ARGUMENTS = {"ndim": 2, "offset_scale": 4.0, "levels": LEVELS}


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    """Volumes e1_t1 ... e3_t2 with a nucleus in the upper planes and three in the lower ones."""
    folder = tmp_path / "volumes"
    folder.mkdir()
    for name in (f"e{e}_t{t}" for e in (1, 2, 3) for t in (1, 2)):
        labels = np.zeros((16, 48, 48), np.uint16)
        labels[2:6, 4:16, 4:16] = 1
        labels[9:14, 20:30, 4:16], labels[9:14, 20:30, 20:34], labels[9:14, 34:46, 30:44] = 2, 3, 4
        image = np.random.default_rng(len(name)).poisson(50 + 100 * (labels > 0)).astype(np.uint16)
        np.savez(folder / f"{name}.npz", image=image, labels=labels)
    return folder


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    network = build("vote-unet", ARGUMENTS)
    y, x = halo_for(network)
    info = ModelInfo(
        "tiny", "1", "", 2, "vote-unet", ARGUMENTS, None, 12.0, (0, y, x), (1, *network.total_stride), (1, 64, 64)
    )
    write_package(tmp_path / "packages" / "tiny" / "1", info, network.state_dict(), "# tiny")
    return tmp_path / "packages"


def test_a_2d_model_gets_the_richest_planes_and_the_split_is_by_name(volumes):
    train, held = read_samples([str(volumes)], ["e3_*"], 2, seed=1)
    assert {s.specimen for s in train} == {"e1", "e2"} and {s.specimen for s in held} == {"e3"}
    assert len(train) == 4 and len(held) == 4
    assert all(9 <= int(s.name[-3:]) < 14 and s.image.shape == (48, 48) for s in train)
    again, _ = read_samples([str(volumes)], ["e3_*"], 2, seed=1)
    assert [s.name for s in train] == [s.name for s in again]


def test_inverted_images_have_dark_nuclei_in_the_same_range(volumes):
    bright, dark = (read_samples([str(volumes)], ["e3_*"], 2, 1, inverted)[0][0] for inverted in (False, True))
    assert bright.name == dark.name and (bright.labels == dark.labels).all()
    assert (dark.image.min(), dark.image.max(), dark.image.dtype) == (
        bright.image.min(), bright.image.max(), bright.image.dtype,
    )  # fmt: skip
    assert bright.image[bright.labels > 0].mean() > bright.image[bright.labels == 0].mean()
    assert dark.image[dark.labels > 0].mean() < dark.image[dark.labels == 0].mean()


def test_data_of_other_dimensions_is_refused(tmp_path):
    nothing = np.zeros((4, 4, 4, 4), np.uint8)
    np.savez(tmp_path / "a.npz", image=nothing, labels=nothing)
    with pytest.raises(InvalidInput, match="2D model"):
        read_samples([str(tmp_path)], [], 2, 0)


def sample(name: str, nuclei: int) -> Sample:
    labels = np.arange(nuclei + 1)[:, None] * np.ones((1, 3), int)
    return Sample(name, name[:2], labels, labels)


def test_crops_come_from_all_specimens_in_turn():
    order = spread([sample("e1_a", 2), sample("e1_b", 5), sample("e2_a", 1), sample("e1_c", 3)])
    assert [s.name for s in order] == ["e1_b", "e2_a", "e1_c", "e1_a"]


def test_a_large_image_is_cropped_where_nuclei_are():
    labels = np.zeros((600, 600), int)
    labels[500:510, 500:510], labels[530:540, 500:510] = 1, 2
    found = [cut_crop(Sample("a", "a", labels, labels), seed) for seed in range(5)]
    assert all(crop.image.shape == (192, 192) for crop in found)
    assert max(crop.labels.max() for crop in found) == 2
    small = Sample("b", "b", labels[:50, :60], labels[:50, :60])
    assert cut_crop(small, 0).image.shape == (50, 60)


def test_the_curve_has_a_point_per_number_of_crops_and_is_written_down(volumes, packages, tmp_path):
    setup = FewLabels("tiny", (str(volumes),), ("e3_*",), counts=(1, 2), steps=2, images=2)
    points = measure_few_labels(setup, tmp_path / "out", [packages])
    assert [point.crops for point in points] == [0, 1, 2]
    assert [point.labelled_nuclei for point in points] == [0, 3, 6]
    assert {point.images for point in points} == {2} and {point.true for point in points} == {6}
    with (tmp_path / "out" / TABLE).open() as file:
        assert [row["crops"] for row in csv.DictReader(file)] == ["0", "1", "2"]
    assert (tmp_path / "out" / PICTURE).read_bytes().startswith(b"\x89PNG")
    used = {path.stem.split("_")[0] for path in (tmp_path / "out" / "crops").rglob("*.npz")}
    assert used == {"e1", "e2"}
    few, many = ({p.name for p in (tmp_path / "out" / "crops" / n).iterdir()} for n in ("1", "2"))
    assert few < many


def test_too_few_images_are_refused(volumes, packages, tmp_path):
    with pytest.raises(InvalidInput, match="4 images"):
        measure_few_labels(FewLabels("tiny", (str(volumes),), ("e3_*",)), tmp_path / "out", [packages])
    with pytest.raises(InvalidInput, match="to measure on"):
        setup = FewLabels("tiny", (str(volumes),), ("x*",), counts=(1,))
        measure_few_labels(setup, tmp_path / "out", [packages])
