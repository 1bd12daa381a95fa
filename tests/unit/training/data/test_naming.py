"""Names: masks of images, and specimens."""

from __future__ import annotations

from pathlib import Path

import pytest
from noyau.training.data.naming import image_stem, label_stem, specimens_of, stem_of


@pytest.mark.parametrize("name", ["a_mask.tif", "a_masks.ome.tif", "a-labels.tiff", "a_cp_masks.tif", "a_seg.tif"])
def test_masks_name_their_image(name: str) -> None:
    assert label_stem(Path(name)) == "a"


@pytest.mark.parametrize("name", ["mask.tif", "a.tif", "unmasked.tif", "a_1.tif"])
def test_other_names_are_no_masks(name: str) -> None:
    assert label_stem(Path(name)) == ""


def test_stems() -> None:
    assert stem_of(Path("a.b.ome.tiff")) == "a.b" and image_stem(Path("a_img.tif")) == "a"


@pytest.mark.parametrize(
    ("stems", "expected"),
    [
        (["Emb01_t001", "Emb01_t101", "Emb02_t001", "Emb02_t101"], ["Emb01", "Emb01", "Emb02", "Emb02"]),
        (["mouse 3-z12", "mouse 3-z13", "mouse 4-z1", "mouse 4-z2"], ["mouse 3", "mouse 3", "mouse 4", "mouse 4"]),
        (["a_crop_1", "a_crop_2", "b_crop_1", "b_crop_2"], ["a", "a", "b", "b"]),
        (["t000", "t001"], ["", ""]),
        (["embryo_t1_z01", "embryo_t1_z02", "embryo_t2_z01"], ["embryo"] * 3),
        (["W1-fov1", "W1-fov2", "W2-fov1", "W2-fov2"], ["W1", "W1", "W2", "W2"]),
        (["img_001", "img_002", "img_003"], ["img_001", "img_002", "img_003"]),
        (["A09_s1", "A16_s2", "A16_s3", "B01_s1", "C01_s1"], ["A09_s1", "A16_s2", "A16_s3", "B01_s1", "C01_s1"]),
        (["00ae65", "0121d6"], ["00ae65", "0121d6"]),
    ],
)
def test_specimens_are_guessed(stems: list[str], expected: list[str]) -> None:
    assert specimens_of(stems)[0] == expected


def test_a_pattern_says_what_a_specimen_is() -> None:
    found, rule = specimens_of(["x1-mouse7-a", "x2-mouse7-b", "other"], r"mouse(\d+)")
    assert found == ["7", "7", "other"] and "mouse" in rule
    assert specimens_of(["ab1", "ab2"], r"^[a-z]+")[0] == ["ab", "ab"]
