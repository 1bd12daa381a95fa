"""A dataset as a whole: what is kept, what is told, what stops."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import DamagedData, InvalidInput, JobCancelled, NoyauError, PermissionRefused
from noyau.domain.model import Normalisation
from noyau.domain.progress import SilentReporter
from noyau.training.data import Facts, dataset_record, open_dataset, split_dataset

from .conftest import draw_scene

PARAMS = Normalisation()


def save(path: Path, seed: int, **changes: np.ndarray) -> Path:
    image, labels = draw_scene(seed)
    np.savez_compressed(path, **{"image": image, "labels": labels, **changes})
    return path


def kinds(problems) -> set[tuple[str, str]]:
    return {(p.kind, p.pair) for p in problems if p.severity != "note"}


def test_a_good_dataset(npz_folder: Path) -> None:
    dataset = open_dataset([str(npz_folder)])
    assert dataset.ndim == 2 and [p.name for p in dataset.pairs][:2] == ["set/e1_t1", "set/e1_t2"]
    assert {p.specimen for p in dataset.pairs} == {"set/e1", "set/e2", "set/e3"}
    assert dataset.errors == () and not dataset.doubtful
    pair = dataset.pairs[0].load(PARAMS)
    image, labels = draw_scene(0)
    np.testing.assert_array_equal(pair.image, image)
    np.testing.assert_array_equal(pair.labels, labels)
    assert pair.name == "set/e1_t1" and pair.specimen == "set/e1" and pair.is_complete
    assert pair.objects.ids.tolist() == np.unique(labels)[1:].tolist()


def test_one_bad_pair_is_named_and_the_others_are_used(npz_folder: Path) -> None:
    save(npz_folder / "e2_t1.npz", 2, labels=np.zeros((3, 3), int))
    with pytest.raises(InvalidInput, match="e2_t1"):
        open_dataset([str(npz_folder)])
    dataset = open_dataset([str(npz_folder)], on_bad="skip")
    assert len(dataset.pairs) == 5 and [p.pair for p in dataset.errors] == ["set/e2_t1"]


def test_the_kind_of_the_first_error_is_kept(npz_folder: Path) -> None:
    (npz_folder / "e1_t1.npz").write_bytes(b"PK")
    with pytest.raises(DamagedData, match="e1_t1"):
        open_dataset([str(npz_folder)])


def test_duplicates_are_left_out_and_contradictions_are_errors(npz_folder: Path) -> None:
    shutil.copy(npz_folder / "e1_t1.npz", npz_folder / "z1.npz")
    image, labels = draw_scene(1)
    np.savez(npz_folder / "z2.npz", image=image, labels=np.where(labels == 1, 0, labels))
    dataset = open_dataset([str(npz_folder)], on_bad="skip")
    assert kinds(dataset.problems) >= {("duplicate", "set/z1"), ("contradiction", "set/z2")}
    assert len(dataset.pairs) == 6 and {p.place.stem for p in dataset.doubtful} == {"z1", "z2"}
    with pytest.raises(InvalidInput, match="other labels"):
        open_dataset([str(npz_folder)])


def test_swapped_masks_are_errors(npz_folder: Path) -> None:
    (a, la), (b, lb) = draw_scene(0), draw_scene(2)
    np.savez(npz_folder / "e1_t1.npz", image=a, labels=lb)
    np.savez(npz_folder / "e2_t1.npz", image=b, labels=la)
    dataset = open_dataset([str(npz_folder)], on_bad="skip")
    assert {p.pair for p in dataset.errors} == {"set/e1_t1", "set/e2_t1"} and len(dataset.pairs) == 4
    assert all("swapped" in str(p) for p in dataset.errors)


def test_tiny_fragments_and_pieces_are_told(tmp_path: Path) -> None:
    image, labels = draw_scene(0)
    labels[0, 0], labels[63, 71] = 50, 50
    np.savez(tmp_path / "a.npz", image=image, labels=labels)
    save(tmp_path / "b.npz", 1)
    dataset = open_dataset([str(tmp_path)])
    assert kinds(dataset.problems) >= {
        ("fragments", f"{tmp_path.name}/a"),
        ("pieces", f"{tmp_path.name}/a"),
    }
    assert dataset.pairs[0].found.fragments == 1 and 2 < dataset.fragment < 10
    counted = dataset.pairs[0].load(PARAMS, dataset.fragment).objects
    assert counted.counted.tolist() == [i != 50 for i in counted.ids]


def test_spacing_is_compared(tmp_path: Path) -> None:
    for seed, size in enumerate(([0.5, 0.5], [0.5, 0.5], [0.9, 0.9])):
        save(tmp_path / f"{seed}.npz", seed, voxel_size=np.array(size))
    save(tmp_path / "3.npz", 3)
    problems = open_dataset([str(tmp_path)]).problems
    spacing = next(p for p in problems if p.kind == "spacing")
    assert spacing.others == (f"{tmp_path.name}/2",) and any(p.kind == "no-spacing" for p in problems)


def test_dataset_json_speaks_for_its_folder(npz_folder: Path) -> None:
    said = {"licence": "CC0", "modality": "widefield", "voxel_size": [1, 0.5, 0.5], "specimen": "^(e[12])", "ignore": 3}
    (npz_folder / "dataset.json").write_text(json.dumps(said))
    dataset = open_dataset([str(npz_folder)], facts=Facts(licence="CC-BY-4.0"))
    part = dataset_record(dataset)["parts"][0]
    assert (part["licence"], part["modality"], part["voxel_sizes"]) == ("CC-BY-4.0", "widefield", [[1, 0.5, 0.5]])
    assert {p.specimen for p in dataset.pairs} == {"set/e1", "set/e2", "set/e3_t1", "set/e3_t2"}
    assert all(p.found.known < 1 for p in dataset.pairs) and dataset.pairs[0].load(PARAMS).known is not None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"license": "CC0"}', "unknown names: license"),
        ('{"voxel_size": "0.5"}', "'voxel_size'"),
        ('{"voxel_size": [0, 1, 1]}', "not positive"),
        ('{"specimen": "("}', "regular expression"),
        ('{"kind": "outlines"}', "outlines"),
        ("[1]", "no object"),
        ("{", "JSON"),
        ("[" * 50_000, "JSON"),
    ],
)
def test_a_bad_dataset_json_is_refused(npz_folder: Path, text: str, words: str) -> None:
    (npz_folder / "dataset.json").write_text(text)
    with pytest.raises(InvalidInput, match=words):
        open_dataset([str(npz_folder)])


def test_a_dataset_json_out_of_the_roots_is_not_read(npz_folder: Path) -> None:
    (npz_folder.parent / "dataset.json").write_text("{ broken")
    assert len(open_dataset([str(npz_folder)], access=AccessPolicy(roots=(str(npz_folder),))).pairs) == 6


def test_nothing_labelled_and_nothing_usable(tmp_path: Path) -> None:
    for seed in range(2):
        save(tmp_path / f"{seed}.npz", seed, labels=np.zeros((64, 72), np.uint8))
    with pytest.raises(InvalidInput, match="Nothing is labelled in any of 2 pairs"):
        open_dataset([str(tmp_path)])
    for seed in range(2):
        (tmp_path / f"{seed}.npz").write_bytes(b"no")
    heard: list[str] = []

    class Listener(SilentReporter):
        def log(self, message: str, level: str = "info") -> None:
            heard.append(f"{level}: {message}")

    with pytest.raises(InvalidInput, match="None of 2 pairs can be used"):
        open_dataset([str(tmp_path)], on_bad="skip", reporter=Listener())
    assert len(heard) == 2 and all(line.startswith("warning: ") for line in heard)


def test_one_image_is_told(tmp_path: Path) -> None:
    save(tmp_path / "a.npz", 0)
    dataset = open_dataset([str(tmp_path)])
    assert any(p.kind == "single" for p in dataset.problems)
    assert len(split_dataset(dataset, val_percent=20).train) == 1


def test_points_alone_teach_no_background(tmp_path: Path) -> None:
    for seed in range(2):
        np.savez(tmp_path / f"{seed}.npz", image=draw_scene(seed)[0], points=np.array([[20.0, 20.0]]))
    assert any(p.kind == "no-background" for p in open_dataset([str(tmp_path)]).problems)
    said = open_dataset([str(tmp_path)], facts=Facts(complete=True, radius=5.0))
    assert not any(p.kind == "no-background" for p in said.problems)
    pair = said.pairs[0].load(PARAMS)
    assert pair.kind == "points" and not pair.is_complete and pair.objects.centres.tolist() == [[20, 20]]


def test_images_alone_for_pretraining(tmp_path: Path) -> None:
    for seed in range(2):
        np.savez(tmp_path / f"{seed}.npz", image=draw_scene(seed)[0])
    dataset = open_dataset([str(tmp_path)], labelled=False)
    assert len(dataset.pairs) == 2 and dataset.errors == ()
    with pytest.raises(InvalidInput, match="has no labels"):
        open_dataset([str(tmp_path)])


def test_files_out_of_the_roots_are_refused(npz_folder: Path, tmp_path: Path) -> None:
    outside = save(tmp_path / "outside.npz", 40)
    (npz_folder / "link.npz").symlink_to(outside)
    access = AccessPolicy(roots=(str(npz_folder),))
    with pytest.raises(PermissionRefused, match="link"):
        open_dataset([str(npz_folder)], access=access)
    assert len(open_dataset([str(npz_folder)], access=access, on_bad="skip").pairs) == 6


def test_a_check_can_be_stopped(npz_folder: Path) -> None:
    class Impatient(SilentReporter):
        def check(self) -> None:
            raise JobCancelled("enough")

    with pytest.raises(NoyauError, match="enough"):
        open_dataset([str(npz_folder)], reporter=Impatient())


def test_the_record_depends_on_the_data_only(npz_folder: Path, tmp_path: Path) -> None:
    dataset = open_dataset([str(npz_folder)])
    split = split_dataset(dataset, ["e3_*"])
    record = dataset_record(dataset, split)
    assert record == json.loads(json.dumps(record)) and str(tmp_path) not in json.dumps(record)
    assert record["counts"]["validation"] == {
        "pairs": 2, "specimens": 1, "objects": sum(p.found.objects for p in split.val),
    }  # fmt: skip
    moved = shutil.copytree(npz_folder, tmp_path / "elsewhere" / "set")
    again = open_dataset([str(moved)])
    assert dataset_record(again, split_dataset(again, ["e3_*"])) == record
    assert dataset_record(again, split_dataset(again, ["e2_*"]))["digest"] != record["digest"]
    save(moved / "e1_t1.npz", 60)
    changed = open_dataset([str(moved)])
    assert dataset_record(changed, split_dataset(changed, ["e3_*"]))["digest"] != record["digest"]
