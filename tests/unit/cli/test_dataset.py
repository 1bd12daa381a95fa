"""`noyau dataset check` on the command line: exit codes, report, JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from noyau.cli import build_app
from typer.testing import CliRunner


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(build_app(), ["dataset", "check", *arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pairs of two specimens in a folder whose name is no pattern."""
    place = tmp_path / "set [1] 🔬"
    place.mkdir()
    rows, columns = np.indices((48, 52))
    for index, name in enumerate(("e1_t1", "e1_t2", "e2_t1", "e2_t2")):
        rng = np.random.default_rng(index)
        labels = np.zeros((48, 52), np.uint16)
        for label in range(1, 7):
            y, x = rng.integers(5, 43, 2)
            labels[((rows - y) ** 2 + (columns - x) ** 2 < 20) & (labels == 0)] = label
        np.savez(place / f"{name}.npz", image=rng.poisson(50 + 90 * (labels > 0)), labels=labels)
    return place


def test_a_sound_dataset(folder: Path) -> None:
    code, out, err = run(str(folder), "--val", "e2_*", "--licence", "CC0", "--voxel-size", "0.5,0.5", "-q")
    assert code == 0 and err == ""
    assert "set [1] 🔬" in out and "CC0" in out and "1 x 0.5 x 0.5" in out
    assert "4 pairs of 2D images can be trained on; no errors." in out and "licence" in out
    assert "validation" in out and "note (licence)" not in out


def test_a_bad_pair_is_told_and_changes_the_exit_code(folder: Path) -> None:
    np.savez(folder / "bad.npz", image=np.ones((4, 4)), labels=np.ones((4, 4), int))
    code, out, _ = run(str(folder), "-q")
    assert code == 1 and "error (invalid_argument): The image of 'set [1] 🔬/bad' is empty" in out
    assert "4 pairs" in out


def test_json_is_the_record(folder: Path, tmp_path: Path) -> None:
    code, out, _ = run(str(folder), "--val-percent", "50", "--json", "-q", "--record", str(tmp_path / "r.json"))
    document = json.loads(out)
    assert code == 0 and document["sound"] is True and document["files"] == [str(tmp_path / "r.json")]
    written = json.loads((tmp_path / "r.json").read_text())
    assert {k: document[k] for k in written} == written
    assert sum(side["pairs"] for side in document["counts"].values()) == 4


def test_nothing_usable_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"no")
    code, _, err = run(str(tmp_path), "-q")
    assert code == 3 and "None of 1 pairs can be used" in err
    assert run(str(tmp_path / "absent"), "-q")[0] == 4


def test_masks_are_cut_on_request(folder: Path) -> None:
    for path in folder.iterdir():
        with np.load(path) as stored:
            image, labels = stored["image"], stored["labels"]
        np.savez(path, image=image, labels=(labels > 0).astype(np.uint8) * 255)
    code, _, err = run(str(folder), "-q")
    assert code == 3 and "--components" in err
    code, out, _ = run(str(folder), "--components", "-q")
    assert code == 0 and "note (components)" in out


def test_a_wrong_option_is_told(folder: Path) -> None:
    code, _, err = run(str(folder), "--specimen", "(", "-q")
    assert code == 3 and "regular expression" in err
    code, _, err = run(str(folder), "--val", "nothing*", "-q")
    assert code == 3 and "nothing*" in err
