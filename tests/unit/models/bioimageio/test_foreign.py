"""Packages of other makers: read, tried, and run with their own processing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from noyau.domain.errors import AlreadyExists, InvalidInput
from noyau.inference.cache import BackendCache
from noyau.inference.selection import Choice
from noyau.models import selftest
from noyau.models.bioimageio import import_archive
from noyau.models.bioimageio.objects import ObjectRule
from noyau.models.package import read_package

KINDS = ["onnx", "torchscript"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_with_a_map_of_the_foreground(foreign, tmp_path, kind, tools):
    info = import_archive(foreign(kind), tmp_path / "models", allow_torchscript=True)
    assert (info.name, info.version, info.kind, info.architecture) == ("discs-in-noise", "1", "foreground", kind)
    assert info.author == "A. Maker" and info.licence == "CC-BY-4.0" and "10.1234/discs" in info.cite[0]
    assert info.decoder == "foreground" and not info.bounded
    folder = tmp_path / "models" / "discs-in-noise" / "1"
    assert sorted(p.name for p in folder.iterdir()) == [
        "README.md",
        "model.json",
        "selftest.npz",
        "weights.safetensors",
    ]
    assert "Made for a test." in (folder / "README.md").read_text()
    assert [p.name for p in (tmp_path / "models").iterdir()] == ["discs-in-noise"]
    selftest.check(folder)
    backend = BackendCache().get(info, Choice("cpu", "torch"), lambda: read_package(folder).network)
    # A window of a size that the network does not take is filled up and cut again.
    window = np.clip((tools["image_2d"]()[0, 0, :51, :43] - 100) / 800, 0, 1)[None].astype(np.float32)
    found = backend.predict(window[None])
    assert found.shape == (1, 1, 1, 51, 43) and found.dtype == np.uint8
    assert ((found[0, 0, 0] >= 128) == (window[0] > 0.5)).mean() > 0.97
    backend.close()


def test_a_package_with_borders(foreign, tmp_path, no_trial):
    info = import_archive(foreign(channels=("nuclei", "cell boundaries")), tmp_path / "models")
    assert (info.kind, info.decoder) == ("border", "border")
    network = read_package(tmp_path / "models" / info.name / "1").network
    found = BackendCache().get(info, Choice("cpu", "torch"), lambda: network).predict(np.ones((1, 1, 32, 32), "f4"))
    assert found.shape == (1, 3, 1, 32, 32)
    assert (found[0, 0] > 250).mean() > 0.8 and np.array_equal(found[0, 0], found[0, 2])
    assert (found[0, 1, 0, 4:-4, 4:-4] < 5).all()


def test_channels_that_say_nothing_need_the_caller(foreign, tmp_path, no_trial):
    archive = foreign(channels=("channel0", "channel1"))
    with pytest.raises(InvalidInput, match="--foreground N"):
        import_archive(archive, tmp_path / "models")
    info = import_archive(archive, tmp_path / "models", objects=ObjectRule("border", foreground=1, border=0), name="b")
    assert info.ref == "b@1" and info.processing["objects"]["foreground"] == 1
    with pytest.raises(AlreadyExists, match="b@1"):
        import_archive(archive, tmp_path / "models", objects=ObjectRule("foreground"), name="b")


def test_a_state_dict_of_a_known_class(pack, tools, tmp_path):
    from monai.networks.nets import UNet

    arguments = {"spatial_dims": 2, "in_channels": 1, "out_channels": 1, "channels": [4, 8], "strides": [2]}
    torch.manual_seed(0)
    network = UNet(**arguments).eval()
    image = tools["image_2d"]()
    steps = [{"id": "zero_mean_unit_variance", "kwargs": {"axes": ["channel", "y", "x"]}}]
    architecture = {"import_from": "monai.networks.nets", "callable": "UNet", "kwargs": arguments}
    weights = {"pytorch_state_dict": {"source": "w.pt", "architecture": architecture, "pytorch_version": "2.0"}}
    document = tools["describe"](weights, ["probability"])
    document["inputs"][0]["preprocessing"] = steps
    sigmoid = [{"id": "sigmoid"}]
    files = {
        "bioimageio.yaml": document,
        "README.md": b"# x",
        "test_input.npy": tools["npy"](image),
        "test_output.npy": tools["npy"](tools["run"](network, image, steps, sigmoid)),
        "w.pt": tools["saved"](network.state_dict()),
    }
    info = import_archive(pack(files), tmp_path / "models")
    assert info.architecture == "monai:UNet" and info.arguments == arguments
    loaded = read_package(tmp_path / "models" / info.name / "1")
    for name, tensor in loaded.network.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name])


def test_a_package_that_names_objects_becomes_votes(foreign, tmp_path, no_trial):
    info = import_archive(foreign(), tmp_path / "models", objects=ObjectRule("labels"))
    assert (info.kind, info.decoder) == ("labels", "vote")
    network = read_package(tmp_path / "models" / info.name / "1").network
    found = BackendCache().get(info, Choice("cpu", "torch"), lambda: network).predict(np.ones((1, 1, 32, 32), "f4"))
    # The whole window is label 1: every pixel points at its middle.
    offsets = found[0, 2:, 0].view(np.int8)
    y, x = np.mgrid[:32, :32]
    assert (found[0, 0, 0, 1:-1, 1:-1] == 255).all()
    assert np.array_equal((y + offsets[0])[1:-1, 1:-1], np.full((30, 30), 16))
    assert np.array_equal((x + offsets[1])[1:-1, 1:-1], np.full((30, 30), 16))
