"""What a package carries of figure 3A, and what it lacks."""

from __future__ import annotations

import json
import shutil

import pytest
from noyau.domain.errors import NotFound
from noyau.models.bioimageio.check import score
from noyau.models.registry import shipped_packages

GOOD = """# tiny, version 2

Finds discs in images of discs. One channel, discs of 5 to 20 pixels; it was made to see whether a test can pass.

## Training data

Ten drawn discs, CC0; two more for validation.

## How it was trained

    noyau train RUN --name tiny --data discs

With AdamW, and a loss of binary cross entropy and distances, until it looked good enough to its maker.

## Limits

- Nothing but discs. Not squares, not ellipses, and certainly no nuclei of any kind or size.
"""


@pytest.fixture
def folder(own_package, tmp_path):
    found = shutil.copytree(own_package, tmp_path / "tiny" / "2")
    (found / "README.md").write_text(GOOD)
    return found


def test_a_complete_package(folder):
    found = score(folder)
    assert (found.model, found.present, found.missing) == ("tiny@2", 10, ())
    assert {element.purpose for element in found.elements} == {"to use it", "to make it again"}


@pytest.mark.parametrize(
    ("heading", "lost"),
    [
        ("## Limits", {"documentation"}),
        ("## How it was trained", {"documentation of the training", "training routine", "training module"}),
        ("## Training data", {"training and test data"}),
    ],
)
def test_a_card_without_a_section(folder, heading, lost):
    before, _, rest = GOOD.partition(heading)
    after = rest.partition("\n## ")[2]
    (folder / "README.md").write_text(before + (f"## {after}" if after else "") + "\nAnd so on. " * 30)
    found = score(folder)
    assert set(found.missing) == lost
    assert all(element.why for element in found.elements)


@pytest.mark.parametrize(
    ("entry", "value", "lost"),
    [
        ("software", {}, {"environment"}),
        ("metrics", {}, {"training module"}),
        ("digest", "sha256:0", {"trained weights", "interface"}),
    ],
)
def test_a_description_without_an_entry(folder, entry, value, lost):
    stored = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**stored, entry: value}))
    assert set(score(folder).missing) == lost


def test_no_card_at_all(folder):
    (folder / "README.md").unlink()
    missing = score(folder).missing
    assert "explanation of the method" in missing and "documentation" in missing and "trained weights" not in missing


def test_no_package(tmp_path):
    with pytest.raises(NotFound):
        score(tmp_path)


@pytest.mark.parametrize("name", ["nuclei-2d", "nuclei-3d"])
def test_the_shipped_models_carry_nearly_everything(name):
    versions = sorted((shipped_packages() / name).iterdir())
    assert score(versions[-1]).present >= 9
