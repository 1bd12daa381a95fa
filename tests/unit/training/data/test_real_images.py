"""On real microscopy: no false alarm, and planted copies and swaps are found among images that do look alike."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from noyau.training.data import open_dataset, split_dataset


def copied(source: Path, target: Path, step: int) -> list[Path]:
    """Every `step`-th pair of a folder, in a folder of the same name."""
    target.mkdir()
    return [Path(shutil.copy(path, target)) for path in sorted(source.glob("*.npz"))[::step]]


@pytest.mark.parametrize(("name", "step"), [("bbbc050", 6), ("bbbc039", 6), ("dsb2018_fluo", 20)])
def test_real_pairs_raise_no_alarm(shared_data: Path, tmp_path: Path, name: str, step: int) -> None:
    files = copied(shared_data / name, tmp_path / name, step)
    dataset = open_dataset([str(tmp_path / name)])
    assert len(dataset.pairs) == len(files) and dataset.copies == ()
    assert not {p.kind for p in dataset.problems} & {"copy", "duplicate", "swapped", "strange", "contradiction"}
    split = split_dataset(dataset, val_percent=30)
    assert split.val and split.train and not {p.specimen for p in split.val} & {p.specimen for p in split.train}


@pytest.mark.parametrize(("name", "step"), [("bbbc050", 4), ("dsb2018_fluo", 30)])
def test_planted_copies_and_swaps_are_found(shared_data: Path, tmp_path: Path, name: str, step: int) -> None:
    files = copied(shared_data / name, tmp_path / name, step)
    crowded = [f for f in files if np.unique(np.load(f)["labels"]).size > 6]
    shapes: dict[tuple[int, ...], list[Path]] = {}
    for path in crowded:
        shapes.setdefault(np.load(path)["labels"].shape, []).append(path)
    original = crowded[-1]
    with np.load(original) as stored:
        image, labels = stored["image"], stored["labels"]
    view = (..., slice(4, -3), slice(None, 5, -1))
    np.savez(tmp_path / name / "zz9.npz", image=image[view] * 0.7 + 900, labels=labels[view])
    swapped = next((two[:2] for two in shapes.values() if len(two) > 2 and original not in two[:2]), [])
    if swapped:
        (a, la), (b, lb) = ((np.load(p)["image"], np.load(p)["labels"]) for p in swapped)
        np.savez(swapped[0], image=a, labels=lb)
        np.savez(swapped[1], image=b, labels=la)
    dataset = open_dataset([str(tmp_path / name)], on_bad="skip")
    told = {p.pair.rsplit("/", 1)[-1]: p.kind for p in dataset.problems if p.severity == "error"}
    assert told == {p.stem: "swapped" for p in swapped}
    pairs = [(dataset.pairs[c.first].place.stem, dataset.pairs[c.second].place.stem) for c in dataset.copies]
    assert pairs == [(original.stem, "zz9")]
