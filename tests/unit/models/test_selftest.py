"""A package that does not answer its own test input as it did is not loaded, let alone served."""

import json
from pathlib import Path

import numpy as np
import pytest
from noyau.domain.errors import DamagedData, NotFound
from noyau.domain.model import ModelInfo
from noyau.models import selftest
from noyau.models.networks import build
from noyau.models.package import read_package, write_package
from noyau.models.registry import shipped_packages
from noyau.models.sample import SAMPLE_FILE, read_sample

ARGUMENTS = {"ndim": 2, "levels": [{"channels": 4, "stride": [2, 2], "down": [[3, 3]], "up": [[3, 3]]}]}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "tiny" / "1"
    info = ModelInfo("tiny", "1", "", 2, "vote-unet", ARGUMENTS, None, 20.0, (0, 8, 8), (1, 2, 2), (1, 64, 64))
    write_package(folder, info, build("vote-unet", ARGUMENTS).state_dict(), "# card\n")
    return folder


def test_a_new_package_carries_its_test_input_and_passes(folder):
    selftest.check(folder)
    sample = read_sample(folder)
    assert sample.image.dtype == np.uint16 and sample.image.shape == (1, 64, 64)
    assert sample.answer.shape == (3, 64, 64) and len(np.unique(sample.answer)) > 100
    assert (folder / SAMPLE_FILE).stat().st_size < 50_000


def test_another_answer_is_refused(folder):
    sample = read_sample(folder)
    answer = sample.answer.copy()
    answer[1, 5, 5] += 0.5
    np.savez(folder / SAMPLE_FILE, image=sample.image, answer=answer)
    with pytest.raises(DamagedData, match=r"tiny@1 .* test input .* by up to 0\.5"):
        selftest.check(folder)
    with pytest.raises(DamagedData, match="not served"):
        read_package(folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [("normalisation", {"low": 50.0, "high": 90.0, "gain": 3.0, "clip": [-0.5, 20.0]}), ("ndim", 3)],
)
def test_a_description_that_prepares_the_input_otherwise_is_refused(folder, name, value):
    stored = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**stored, name: value}))
    with pytest.raises(DamagedData, match="test input"):
        selftest.check(folder)


@pytest.mark.parametrize("content", [b"", b"PK not a zip", b"\x93NUMPY"])
def test_a_damaged_test_input_is_refused(folder, content):
    (folder / SAMPLE_FILE).write_bytes(content)
    with pytest.raises(DamagedData, match=SAMPLE_FILE):
        selftest.check(folder)


def test_a_package_without_test_input_loads_but_does_not_pass(folder):
    (folder / SAMPLE_FILE).unlink()
    read_package(folder)
    with pytest.raises(DamagedData, match="no test input"):
        selftest.check(folder)
    selftest.renew(folder)
    selftest.check(folder)


def test_nothing_there(tmp_path):
    with pytest.raises(NotFound):
        selftest.check(tmp_path / "none")


@pytest.mark.parametrize("folder", sorted(shipped_packages().glob("*/*")), ids=lambda p: f"{p.parent.name}-{p.name}")
def test_shipped_packages_pass(folder: Path):
    selftest.check(folder)
