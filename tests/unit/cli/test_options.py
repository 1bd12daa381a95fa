"""What is written on the command line, as values."""

from __future__ import annotations

from pathlib import Path

import pytest
from noyau.commands import options
from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import VoxelSize


def test_voxel_sizes_of_volumes_and_planes() -> None:
    assert options.parse_voxel_size("1.75,0.8,0.8") == VoxelSize(1.75, 0.8, 0.8)
    assert options.parse_voxel_size("0.5, 0.25") == VoxelSize(1.0, 0.5, 0.25)
    assert options.parse_voxel_size(None) is None


def test_tiles_of_volumes_and_planes() -> None:
    assert options.parse_tile("32,64,64") == (32, 64, 64)
    assert options.parse_tile("256,256") == (1, 256, 256)
    assert options.parse_tile(None) is None


@pytest.mark.parametrize("text", ["", "1", "a,b,c", "1,2,3,4", "1;2;3", "0,1,1", "-1,1,1", "nan,1,1"])
def test_what_is_no_voxel_size_is_told(text: str) -> None:
    with pytest.raises(InvalidInput):
        options.parse_voxel_size(text)


@pytest.mark.parametrize("text", ["1.5,2,3", "x", "", "1", "nan,1,1", "inf,1,1"])
def test_what_is_no_tile_is_told(text: str) -> None:
    with pytest.raises(InvalidInput):
        options.parse_tile(text)


def test_channels_by_index_or_name() -> None:
    assert options.parse_channel("0") == 0
    assert options.parse_channel("DAPI") == "DAPI"
    assert options.parse_channel("-1") == "-1"
    assert options.parse_channel(None) is None


def test_times() -> None:
    assert options.parse_time("3") == (3, 3)
    assert options.parse_time("0-9") == (0, 9)
    assert options.parse_time(None) is None
    with pytest.raises(InvalidInput):
        options.parse_time("soon")


def test_relative_paths_become_absolute_and_uris_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert options.absolute("a.ome.zarr") == str(tmp_path / "a.ome.zarr")
    assert options.absolute("/data/a.ome.zarr") == "/data/a.ome.zarr"
    assert options.absolute("s3://bucket/a.ome.zarr") == "s3://bucket/a.ome.zarr"
