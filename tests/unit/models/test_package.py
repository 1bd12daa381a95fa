"""Model packages: what is written comes back, and damage is noticed before a weight is used."""

import json

import pytest
import torch
from noyau.domain.errors import DamagedData, LimitExceeded, NotFound
from noyau.domain.geometry import VoxelSize
from noyau.domain.model import ModelInfo, Normalisation, VoteParams
from noyau.models.networks import build
from noyau.models.package import digest_of, read_info, read_package, write_package
from safetensors.torch import save

ARGUMENTS = {"ndim": 2, "levels": [{"channels": 4, "stride": [1, 1], "down": [[3, 3]], "up": [[3, 3]]}]}


def describe(**changes) -> ModelInfo:
    values = {
        "name": "tiny",
        "version": "1",
        "digest": "",
        "ndim": 2,
        "architecture": "vote-unet",
        "arguments": ARGUMENTS,
        "voxel_size": VoxelSize(1.0, 0.5, 0.5),
        "diameter": 20.0,
        "halo": (0, 4, 4),
        "stride": (1, 1, 1),
        "tile": (1, 64, 64),
        "normalisation": Normalisation(low=10.0, clip=(-1.0, 5.0)),
        "vote": VoteParams(nms=(0, 4, 4), radius=7),
        "metrics": {"f1": 0.9},
    }
    return ModelInfo(**{**values, **changes})


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "tiny" / "1"


def test_round_trip_keeps_the_description_and_the_prediction(folder):
    network = build("vote-unet", ARGUMENTS).eval()
    written = write_package(folder, describe(), network.state_dict(), "# card\n")
    loaded = read_package(folder)
    assert loaded.info == written == read_info(folder)
    assert written.digest.startswith("sha256:") and len(written.digest) == 7 + 64
    assert (folder / "README.md").read_text() == "# card\n"
    x = torch.randn(1, 1, 16, 16)
    with torch.inference_mode():
        assert torch.allclose(loaded.network(x), network(x), atol=0.02)
    assert not loaded.network.training
    assert all(p.dtype == torch.float32 for p in loaded.network.parameters())


def test_a_model_that_works_in_pixels_has_no_voxel_size(folder):
    write_package(folder, describe(voxel_size=None), build("vote-unet", ARGUMENTS).state_dict(), "")
    assert read_info(folder).voxel_size is None


def test_tampered_weights_are_refused(folder):
    write_package(folder, describe(), build("vote-unet", ARGUMENTS).state_dict(), "")
    weights = bytearray((folder / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(weights)
    with pytest.raises(DamagedData, match="tiny@1 do not match the digest"):
        read_package(folder)


def test_missing_weights_are_named(folder):
    write_package(folder, describe(), build("vote-unet", ARGUMENTS).state_dict(), "")
    (folder / "weights.safetensors").unlink()
    with pytest.raises(DamagedData, match=r"weights\.safetensors"):
        read_package(folder)


OTHER = {"ndim": 2, "levels": [{**ARGUMENTS["levels"][0], "channels": 8}]}


def test_weights_of_another_network_are_not_packed(folder):
    with pytest.raises(DamagedData, match="do not fit the network"):
        write_package(folder, describe(), build("vote-unet", OTHER).state_dict(), "")
    assert not folder.exists()


def test_weights_of_another_network_are_refused(folder, tmp_path):
    write_package(folder, describe(), build("vote-unet", ARGUMENTS).state_dict(), "")
    weights = save(dict(build("vote-unet", OTHER).state_dict()))
    (folder / "weights.safetensors").write_bytes(weights)
    stored = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**stored, "digest": digest_of(weights)}))
    with pytest.raises(DamagedData, match="do not fit the network"):
        read_package(folder)


def test_a_network_that_gives_nan_is_not_packed(folder):
    state = build("vote-unet", ARGUMENTS).state_dict()
    state["head.conv.bias"][0] = float("nan")
    with pytest.raises(DamagedData, match="not numbers"):
        write_package(folder, describe(), state, "")
    assert not folder.exists()


def test_a_full_disk_leaves_the_earlier_package(small_disk):
    folder = small_disk / "tiny" / "1"
    write_package(folder, describe(), build("vote-unet", ARGUMENTS).state_dict(), "# first\n")
    with pytest.raises(LimitExceeded, match="no space"):
        write_package(folder, describe(), build("vote-unet", ARGUMENTS).state_dict(), "x" * 300_000)
    assert (folder / "README.md").read_text() == "# first\n"
    assert sorted(p.name for p in folder.iterdir()) == [
        "README.md",
        "model.json",
        "selftest.npz",
        "weights.safetensors",
    ]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2}', '{"format": 1, "name": "x"}'])
def test_damaged_description_is_refused(folder, text):
    write_package(folder, describe(), build("vote-unet", ARGUMENTS).state_dict(), "")
    (folder / "model.json").write_text(text)
    with pytest.raises(DamagedData, match=r"model\.json"):
        read_package(folder)


def test_unknown_fields_are_refused(folder):
    write_package(folder, describe(), build("vote-unet", ARGUMENTS).state_dict(), "")
    stored = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**stored, "run_me": "import os"}))
    with pytest.raises(DamagedData, match="run_me"):
        read_info(folder)


def test_no_package_there(tmp_path):
    with pytest.raises(NotFound, match="nothing"):
        read_package(tmp_path / "nothing")
