"""Finding models by name and version, and the models that come with the software."""

import pytest
import torch
from noyau.domain.errors import DamagedData, NotFound
from noyau.domain.geometry import VoxelSize
from noyau.domain.model import ModelInfo
from noyau.models.networks import build
from noyau.models.package import write_package
from noyau.models.receptive_field import halo_for
from noyau.models.registry import ModelRegistry

ARGUMENTS = {"ndim": 2, "levels": [{"channels": 2, "stride": [1, 1], "down": [[3, 3]], "up": [[3, 3]]}]}


def put(root, name, version, description=""):
    info = ModelInfo(
        name, version, "", 2, "vote-unet", ARGUMENTS, None, 20.0, (0, 4, 4), (1, 1, 1), (1, 64, 64),
        description=description,
    )  # fmt: skip
    write_package(root / name / version, info, build("vote-unet", ARGUMENTS).state_dict(), "")


@pytest.fixture
def registry(tmp_path):
    for name, version in (("a", "2"), ("a", "10"), ("a", "1"), ("b", "1"), ("ab", "1")):
        put(tmp_path, name, version)
    return ModelRegistry([tmp_path])


def test_list_is_ordered_by_name_and_numeric_version(registry):
    assert [m.ref for m in registry.list()] == ["a@1", "a@2", "a@10", "ab@1", "b@1"]


@pytest.mark.parametrize(("ref", "found"), [("a", "a@10"), ("a@latest", "a@10"), ("a@2", "a@2"), ("b", "b@1")])
def test_references_resolve(registry, ref, found):
    assert registry.get(ref).ref == found
    assert registry.load(ref).info.ref == found


@pytest.mark.parametrize("ref", ["c", "a@3", "", "@1", "a@", "../a", "a/1"])
def test_unknown_models_name_the_known_ones(registry, ref):
    if ref == "a@":
        assert registry.get(ref).ref == "a@10"
        return
    with pytest.raises(NotFound, match="a@1, a@2, a@10, ab@1, b@1"):
        registry.get(ref)


def test_an_empty_registry_says_so(tmp_path):
    with pytest.raises(NotFound, match="none"):
        ModelRegistry([tmp_path / "absent"]).get("a")


def test_the_first_folder_wins(tmp_path):
    put(tmp_path / "own", "a", "1", "ours")
    put(tmp_path / "shipped", "a", "1", "theirs")
    put(tmp_path / "shipped", "a", "2", "theirs")
    registry = ModelRegistry([tmp_path / "own", tmp_path / "shipped"])
    assert registry.get("a@1").description == "ours"
    assert registry.get("a").ref == "a@2"


def test_damage_is_found_on_load_and_not_on_list(tmp_path):
    put(tmp_path, "a", "1")
    (tmp_path / "a" / "1" / "weights.safetensors").write_bytes(b"not weights")
    registry = ModelRegistry([tmp_path])
    assert [m.ref for m in registry.list()] == ["a@1"]
    with pytest.raises(DamagedData):
        registry.load("a")


@pytest.mark.parametrize(("name", "ndim"), [("nuclei-3d", 3), ("nuclei-2d", 2)])
def test_shipped_models_load_and_their_halo_covers_the_receptive_field(name, ndim):
    loaded = ModelRegistry().load(name)
    info = loaded.info
    assert info.ndim == ndim and info.name == name
    halo = halo_for(loaded.network)
    assert info.halo[-ndim:] == halo
    assert info.stride[-ndim:] == loaded.network.total_stride
    assert all(t % s == 0 and h % s == 0 for t, s, h in zip(info.tile, info.stride, info.halo, strict=True))
    x = torch.zeros(1, 1, *(2 * s for s in loaded.network.total_stride))
    with torch.inference_mode():
        assert torch.isfinite(loaded.network(x)).all()


def test_shipped_models_say_at_which_size_they_work():
    registry = ModelRegistry()
    assert registry.get("nuclei-3d").voxel_size == VoxelSize(1.75, 0.8, 0.8)
    assert registry.get("nuclei-2d").voxel_size is None
