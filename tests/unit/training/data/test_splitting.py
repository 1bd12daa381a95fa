"""No specimen and no near copy on both sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from noyau.domain.errors import InvalidInput
from noyau.training.data import Facts, open_dataset, split_dataset
from noyau.training.dataset import is_validation

from .conftest import draw_scene


def stems(pairs) -> list[str]:
    return [p.place.stem for p in pairs]


def test_patterns_choose_whole_specimens(npz_folder: Path) -> None:
    split = split_dataset(open_dataset([str(npz_folder)]), ["e3_*"])
    assert stems(split.val) == ["e3_t1", "e3_t2"] and len(split.train) == 4 and split.problems == ()


def test_a_specimen_on_both_sides_is_a_leak(npz_folder: Path) -> None:
    dataset = open_dataset([str(npz_folder)])
    split = split_dataset(dataset, ["e3_t2"])
    assert stems(split.val) == ["e3_t2"] and "e3_t1" not in stems(split.train)
    (leak,) = split.problems
    assert (leak.kind, leak.pair, leak.others) == ("leak", "set/e3_t1", ("set/e3_t2",))
    with pytest.raises(InvalidInput, match="shows the specimen 'set/e3'"):
        split_dataset(dataset, ["e3_t2"], on_bad="stop")


def test_a_share_takes_whole_specimens_and_at_least_one(npz_folder: Path) -> None:
    dataset = open_dataset([str(npz_folder)])
    for percent in (1, 30, 60):
        split = split_dataset(dataset, val_percent=percent)
        assert split.val and split.train
        assert not {p.specimen for p in split.val} & {p.specimen for p in split.train}


def test_shares_of_single_images_are_those_of_the_published_split(tmp_path: Path) -> None:
    folder = tmp_path / "bbbc039"
    folder.mkdir()
    for index, well in enumerate(("A09_s1", "B05_s5", "C09_s7", "P23_s9")):
        image, labels = draw_scene(index)
        np.savez(folder / f"{well}.npz", image=image, labels=labels)
    split = split_dataset(open_dataset([str(folder)]), val_percent=15)
    expected = [p.stem for p in sorted(folder.iterdir()) if is_validation(p, (), 15)]
    assert stems(split.val) == expected == ["A09_s1", "P23_s9"]


def with_copy(folder: Path) -> Path:
    """The folder with a mirrored, brighter and cropped copy of `e1_t1` under another specimen's name."""
    image, labels = draw_scene(0, (150, 160), 25)
    np.savez(folder / "e1_t1.npz", image=image, labels=labels)
    np.savez(folder / "x9_t1.npz", image=image[5:, -1:3:-1] * 2 + 300, labels=labels[5:, -1:3:-1])
    return folder


def test_a_near_copy_on_the_other_side_is_a_leak(npz_folder: Path) -> None:
    dataset = open_dataset([str(with_copy(npz_folder))])
    assert any(p.kind == "copy" and p.others == ("set/e1_t1",) for p in dataset.problems)
    split = split_dataset(dataset, ["x9_*"])
    assert [(p.kind, p.pair) for p in split.problems] == [("leak", "set/e1_t1")]
    assert "e1_t1" not in stems(split.train) and "e1_t2" in stems(split.train)


def test_a_share_keeps_near_copies_together(npz_folder: Path) -> None:
    dataset = open_dataset([str(with_copy(npz_folder))])
    for percent in (10, 30, 50, 70, 85):
        split = split_dataset(dataset, val_percent=percent)
        assert split.problems == ()
        assert {"e1_t1", "x9_t1"} <= set(stems(split.val)) or {"e1_t1", "x9_t1"} <= set(stems(split.train))


def test_pairs_known_in_part_do_not_validate(npz_folder: Path) -> None:
    split = split_dataset(open_dataset([str(npz_folder)], facts=Facts(ignore=1)), ["e3_*"])
    assert split.val == () and len(split.train) == 4 and split.problems[0].kind == "partial-validation"


def test_a_single_unknown_voxel_is_enough_not_to_validate(tmp_path: Path) -> None:
    for index in range(2):
        image, labels = draw_scene(index, (256, 256))
        signed = labels.astype(np.int16)
        signed[0, 0] = -1 if index else 0
        np.savez(tmp_path / f"a{index}.npz", image=image, labels=signed)
    split = split_dataset(open_dataset([str(tmp_path)]), ["a1"])
    assert split.val == () and split.problems[0].kind == "partial-validation"


def test_time_points_of_one_specimen_are_not_split(tmp_path: Path) -> None:
    for index in range(4):
        image, labels = draw_scene(index)
        np.savez(tmp_path / f"t{index:03d}.npz", image=image, labels=labels)
    split = split_dataset(open_dataset([str(tmp_path)]), val_percent=40)
    assert split.val == () and len(split.train) == 4 and [p.kind for p in split.problems] == ["one-specimen"]
    apart = split_dataset(open_dataset([str(tmp_path)], facts=Facts(specimen=".*")), val_percent=40)
    assert apart.val and apart.problems == ()


def test_patterns_that_leave_nothing(npz_folder: Path) -> None:
    dataset = open_dataset([str(npz_folder)])
    with pytest.raises(InvalidInput, match=r"'Emb\*' matches none of 6 pairs"):
        split_dataset(dataset, ["Emb*"])
    with pytest.raises(InvalidInput, match="left to train on"):
        split_dataset(dataset, ["*"])
