"""Which files belong together."""

from __future__ import annotations

from pathlib import Path

import pytest
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import NotFound, PermissionRefused
from noyau.training.data.finding import find_places
from noyau.training.data.values import Place, Problem

ANYWHERE = AccessPolicy.everything()


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def found(*sources: Path | str, access: AccessPolicy = ANYWHERE) -> tuple[list[Place], list[Problem]]:
    return find_places([str(s) for s in sources], access)


def partners(places: list[Place], root: Path) -> dict[str, tuple[str, str]]:
    return {p.name: tuple(str(Path(f).relative_to(root)) if f else "" for f in (p.image, p.labels)) for p in places}


def test_npz_files_are_pairs_and_come_once(tmp_path: Path) -> None:
    folder = touch(tmp_path / "set", "b.npz", "a.npz", "deeper/c.npz", ".hidden.npz", "d.npz.partial")
    places, problems = found(folder, folder / "a.npz", folder / "*.npz")
    assert [p.name for p in places] == ["set/a", "set/b", "deeper/c"] and problems == []


def test_image_and_label_folders(tmp_path: Path) -> None:
    folder = touch(tmp_path / "set", "train/images/a.tif", "train/images/b.tiff", "train/masks/a.tif")
    touch(folder, "train/masks/b_mask.tif", "test/Images/c.ome.tif", "test/Labels/c.csv")
    places, problems = found(folder)
    assert problems == []
    assert partners(places, folder) == {
        "train/a": ("train/images/a.tif", "train/masks/a.tif"),
        "train/b": ("train/images/b.tiff", "train/masks/b_mask.tif"),
        "test/c": ("test/Images/c.ome.tif", "test/Labels/c.csv"),
    }


def test_masks_beside_their_images(tmp_path: Path) -> None:
    folder = touch(tmp_path / "set", "a.tif", "a_mask.tif", "b_img.tif", "b_cp_masks.tif", "c.tif", "c_points.csv")
    places, problems = found(folder)
    assert problems == []
    assert partners(places, folder) == {
        "set/a": ("a.tif", "a_mask.tif"),
        "set/b": ("b_img.tif", "b_cp_masks.tif"),
        "set/c": ("c.tif", "c_points.csv"),
    }
    one, _ = found(folder / "a.tif")
    assert [p.name for p in one] == ["set/a"]


def test_files_without_partner_are_named(tmp_path: Path) -> None:
    folder = touch(
        tmp_path / "set", "images/a.tif", "images/b.tif", "masks/a.tif", "masks/c.tif", "d.tif", "e_mask.tif"
    )
    places, problems = found(folder)
    assert [p.name for p in places] == ["set/a"]
    assert {(p.pair, p.kind) for p in problems} == {
        ("set/b", "unlabelled"), ("set/c", "orphan"), ("set/d", "unlabelled"), ("set/e_mask", "orphan"),
    }  # fmt: skip
    unlabelled, _ = find_places([str(folder)], ANYWHERE, labelled=False)
    assert {p.name for p in unlabelled} == {"set/a", "set/b", "set/d"}


def test_zarrs_are_images_and_not_folders(tmp_path: Path) -> None:
    folder = touch(tmp_path / "set", "a.ome.zarr/zarr.json", "a.ome.zarr/images/x.npz", "b.zarr/.zgroup")
    places, _ = find_places([str(folder)], ANYWHERE, lambda uri: [(uri, 2 if "a.ome" in uri else 1)])
    assert [(p.name, p.time) for p in places] == [("set/a_t000", 0), ("set/a_t001", 1), ("set/b", 0)]


def test_fields_of_a_plate_are_named_by_their_wells(tmp_path: Path) -> None:
    place = str(touch(tmp_path / "p.zarr", "zarr.json"))
    places, _ = find_places([place], ANYWHERE, lambda uri: [(f"{uri}/A/1/0", 1), (f"{uri}/A/1/1", 1)])
    assert [(p.stem, p.image) for p in places] == [("p_A_1_0", f"{place}/A/1/0"), ("p_A_1_1", f"{place}/A/1/1")]


def test_names_with_brackets_spaces_and_emoji_are_taken_literally(tmp_path: Path) -> None:
    folder = touch(tmp_path / "set [1] 🔬", "nu[c]lei {2}*.npz", "é ☢.npz")
    assert {p.stem for p in found(folder)[0]} == {"nu[c]lei {2}*", "é ☢"}
    assert [p.stem for p in found(folder / "nu[c]lei {2}*.npz")[0]] == ["nu[c]lei {2}*"]
    assert [p.stem for p in found(tmp_path / "set ?1? *" / "é*.npz")[0]] == ["é ☢"]


def test_names_that_are_no_text_can_be_told(tmp_path: Path) -> None:
    path = Path(str(tmp_path / "set") + "/") / "a\udcff.npz"
    path.parent.mkdir()
    try:
        path.touch()
    except OSError:
        pytest.skip("this file system wants names that are text")
    (place,), _ = found(path.parent)
    assert place.name.encode() == "set/a\ufffd".encode()


def test_equal_names_of_different_folders_stay_apart(tmp_path: Path) -> None:
    touch(tmp_path, "x/set/a.npz", "y/set/a.npz")
    assert [p.name for p in found(tmp_path)[0]] == ["set/a", "set/a#2"]


def test_links_out_of_the_roots_are_refused(tmp_path: Path) -> None:
    secret = touch(tmp_path / "secret", "s.npz", "more/t.npz")
    root = touch(tmp_path / "root", "a.npz")
    (root / "b.npz").symlink_to(secret / "s.npz")
    (root / "c").symlink_to(secret / "more")
    (root / "d").symlink_to(root)
    places, problems = found(root, access=AccessPolicy(roots=(str(root),)))
    assert [p.name for p in places] == ["root/a"]
    assert {(p.pair, p.kind) for p in problems} == {("root/b", "refused"), ("root/c", "refused")}
    with pytest.raises(PermissionRefused):
        found(secret, access=AccessPolicy(roots=(str(root),)))


def test_sources_without_pairs_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        found(tmp_path / "nowhere")
    with pytest.raises(NotFound, match=r"z\*.npz"):
        found(tmp_path / "z*.npz")
    with pytest.raises(NotFound, match="There is no pair"):
        found(touch(tmp_path / "notes", "readme.txt"))
    with pytest.raises(NotFound, match=r"\.png files are not read"):
        found(touch(tmp_path / "pictures", "images/a.png", "masks/a.png"))
