"""Pairs: found, split by specimen and by a stable hash, and refused with a reason when they are bad."""

import numpy as np
import pytest
from noyau.domain.errors import DamagedData, InvalidInput, NotFound
from noyau.domain.model import Normalisation
from noyau.training.dataset import find_files, is_validation, load_pair, sampling_weights, split_files

PARAMS = Normalisation()


def test_folders_patterns_and_files_are_found_once(pairs_folder):
    everything = find_files([str(pairs_folder)])
    assert len(everything) == 6
    assert find_files([str(pairs_folder / "e1_*.npz")]) == everything[:2]
    assert find_files([str(pairs_folder), str(everything[0]), str(pairs_folder / "*.npz")]) == everything


def test_a_source_without_files_is_named(tmp_path):
    with pytest.raises(NotFound, match="nowhere"):
        find_files([str(tmp_path / "nowhere")])


def test_a_specimen_is_never_in_both_sets(pairs_folder):
    train, val = split_files(find_files([str(pairs_folder)]), ["e3_*"], 0)
    assert {p.stem[:2] for p in train} == {"e1", "e2"} and {p.stem[:2] for p in val} == {"e3"}


def test_the_hash_split_depends_on_the_name_only(tmp_path):
    names = [tmp_path / "set" / f"image{i}.npz" for i in range(2000)]
    chosen = [p for p in names if is_validation(p, (), 15)]
    assert 240 < len(chosen) < 360
    elsewhere = [p for p in names if is_validation(type(p)("/other/root/set") / p.name, (), 15)]
    assert chosen == elsewhere
    # A larger share only adds images.
    assert set(chosen) <= {p for p in names if is_validation(p, (), 30)}


def test_the_published_split_of_the_2d_images_does_not_move(tmp_path):
    """Validation figures in the model card refer to these very images."""
    wells = ("A09_s1", "B05_s5", "C09_s7", "D08_s6", "E23_s8", "G22_s3", "I01_s4", "K12_s1", "N11_s4", "P23_s9")
    assert [w for w in wells if is_validation(tmp_path / "bbbc039" / f"{w}.npz", (), 15)] == ["A09_s1", "P23_s9"]


def test_a_pair_knows_its_objects_and_percentiles(pairs_folder):
    pair = load_pair(pairs_folder / "e1_t1.npz", 2, PARAMS)
    assert pair.name == "pairs/e1_t1" and pair.objects.ids.tolist() == [1, 2, 3, 4]
    assert 90 < pair.low < 110 and pair.high > 280


def test_a_trailing_channel_axis_is_reduced(tmp_path):
    image = np.zeros((8, 9, 3), np.uint8)
    image[2, 2] = (1, 7, 3)
    np.savez(tmp_path / "a.npz", image=image, labels=np.zeros((8, 9), np.uint16))
    assert load_pair(tmp_path / "a.npz", 2, PARAMS).image[2, 2] == 7


def test_bad_pairs_are_named(tmp_path):
    np.savez(tmp_path / "shape.npz", image=np.zeros((4, 5)), labels=np.zeros((5, 4), int))
    np.savez(tmp_path / "missing.npz", image=np.zeros((4, 5)))
    np.savez(tmp_path / "volume.npz", image=np.zeros((4, 5, 6)), labels=np.zeros((4, 5, 6), int))
    (tmp_path / "broken.npz").write_bytes(b"PK nothing")
    for name, error in (
        ("shape", InvalidInput),
        ("missing", DamagedData),
        ("volume", InvalidInput),
        ("broken", DamagedData),
    ):
        with pytest.raises(error, match=f"{name}.npz"):
            load_pair(tmp_path / f"{name}.npz", 2, PARAMS)


def test_crowded_images_are_drawn_more_often(pairs_folder, tmp_path):
    np.savez(tmp_path / "empty.npz", image=np.ones((48, 48)), labels=np.zeros((48, 48), int))
    pairs = [load_pair(p, 2, PARAMS) for p in (tmp_path / "empty.npz", pairs_folder / "e1_t1.npz")]
    weights = sampling_weights(pairs)
    assert weights.sum() == pytest.approx(1.0) and weights[1] > 2 * weights[0] > 0
