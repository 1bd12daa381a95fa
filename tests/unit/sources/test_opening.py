"""Opening OME-Zarr images: versions, types, channels, times, levels, voxel sizes."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorstore as ts
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from noyau.domain.access import AccessPolicy
from noyau.domain.geometry import Box, VoxelSize
from noyau.domain.image import ImageRef, ImageSource
from noyau.sources import open_image

Make = Callable[..., Path]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_the_pixels_of_both_versions_come_back(
    make_image: Make, tmp_path: Path, volume: np.ndarray, access: AccessPolicy, version: str
) -> None:
    path = make_image(tmp_path / "a", volume, version=version, chunks=(2, 3, 5))
    with open_image(ImageRef(str(path)), access=access) as image:
        assert isinstance(image, ImageSource)
        np.testing.assert_array_equal(image.read(Box.of(volume.shape)), volume)
        box = Box((1, 2, 3), (4, 5, 8))
        np.testing.assert_array_equal(image.read(box), volume[box.slices])
        assert image.info.chunk == (2, 3, 5)


def test_sharded_arrays_are_read_and_the_shard_is_the_chunk(
    make_image: Make, tmp_path: Path, volume: np.ndarray, access: AccessPolicy
) -> None:
    path = make_image(tmp_path / "a", volume, chunks=(2, 3, 4), shards=(4, 6, 4))
    image = open_image(ImageRef(str(path)), access=access)
    assert image.info.chunk == (4, 6, 4)
    np.testing.assert_array_equal(image.read(Box.of(volume.shape)), volume)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_axis_order_gives_the_same_volume(
    make_image: Make, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    chosen = data.draw(st.sets(st.sampled_from("tcz")), label="optional axes")
    axes = "".join(data.draw(st.permutations(sorted(chosen | {"y", "x"})), label="order"))
    version = data.draw(st.sampled_from(["0.4", "0.5"]), label="version")
    sizes = {"t": 2, "c": 3, "z": 4, "y": 5, "x": 6}
    canonical = "".join(a for a in "tczyx" if a in axes)
    shape = [sizes[a] for a in canonical]
    pixels = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    stored = pixels.transpose([canonical.index(a) for a in axes])
    path = make_image(tmp_path_factory.mktemp("axes") / "a", np.ascontiguousarray(stored), axes, version=version)
    with open_image(ImageRef(str(path)), access=AccessPolicy.everything()) as image:
        assert image.info.shape == (sizes["z"] if "z" in axes else 1, 5, 6)
        for time in range(image.info.times):
            for channel in range(len(image.info.channels)):
                pick = tuple(i for i, a in ((time, "t"), (channel, "c")) if a in axes)
                want = pixels[pick].reshape(image.info.shape)
                got = image.read(Box.of(image.info.shape), time=time, channel=channel)
                np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", ["bool", "u1", "i1", "<u2", "<i2", "<u4", "<i4", "<f2", "<f4", "<f8", "<u8"])
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_types(make_image: Make, tmp_path: Path, access: AccessPolicy, dtype: str, version: str) -> None:
    pixels = (np.arange(60).reshape(3, 4, 5) % 2 if dtype == "bool" else np.arange(60).reshape(3, 4, 5)).astype(dtype)
    image = open_image(ImageRef(str(make_image(tmp_path / "a", pixels, version=version))), access=access)
    got = image.read(Box.of((3, 4, 5)))
    assert got.dtype == np.dtype(dtype).newbyteorder("=") and image.info.dtype == got.dtype.name
    np.testing.assert_array_equal(got, pixels)


@pytest.mark.parametrize("dtype", [">u2", ">i4", ">f4", ">f8"])
def test_big_endian_pixels_come_in_native_order(
    make_image: Make, tmp_path: Path, access: AccessPolicy, dtype: str
) -> None:
    pixels = np.arange(60).reshape(3, 4, 5).astype(dtype)
    image = open_image(ImageRef(str(make_image(tmp_path / "a", pixels, version="0.4"))), access=access)
    got = image.read(Box.of((3, 4, 5)))
    assert got.dtype.isnative
    np.testing.assert_array_equal(got, pixels)
    assert json.loads((tmp_path / "a" / "0" / ".zarray").read_text())["dtype"] == dtype


def test_big_endian_zarr_3(make_image: Make, tmp_path: Path, volume: np.ndarray, access: AccessPolicy) -> None:
    path = make_image(tmp_path / "a", volume)
    spec = {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": f"{path}/0/"},
        "metadata": {"codecs": [{"name": "bytes", "configuration": {"endian": "big"}}]},
    }
    array = ts.open(spec, create=True, delete_existing=True, dtype=ts.uint16, shape=volume.shape).result()
    array.write(volume).result()
    got = open_image(ImageRef(str(path)), access=access).read(Box.of(volume.shape))
    np.testing.assert_array_equal(got, volume)


def test_channels_by_index_and_name(make_image: Make, tmp_path: Path, access: AccessPolicy) -> None:
    pixels = np.stack([np.full((2, 3, 4), v, np.uint8) for v in (10, 20, 30)])
    path = str(make_image(tmp_path / "a", pixels, "czyx", channels=["DAPI", "GFP", "GFP"]))
    image = open_image(ImageRef(path, channel="GFP"), access=access)
    assert image.info.channels == ("DAPI", "GFP", "GFP-2")
    box = Box.of((2, 3, 4))
    assert image.read(box).max() == 20
    for channel, value in ((0, 10), ("dapi", 10), ("GFP-2", 30), (2, 30), ("2", 30)):
        assert image.read(box, channel=channel).max() == value
    assert open_image(ImageRef(path), access=access).read(box).max() == 10


def test_channels_without_names_are_numbered(make_image: Make, tmp_path: Path, access: AccessPolicy) -> None:
    path = str(make_image(tmp_path / "a", np.zeros((2, 3, 4), np.uint8), "cyx", channels=["only one"]))
    assert open_image(ImageRef(path), access=access).info.channels == ("only one", "1")


def test_levels_have_their_own_shape_and_voxel_size(
    make_image: Make, tmp_path: Path, volume: np.ndarray, access: AccessPolicy
) -> None:
    path = str(make_image(tmp_path / "a", [volume, volume[::2, ::2, ::2]], scale=(2.0, 0.5, 0.25)))
    fine, coarse = (open_image(ImageRef(path, level=i), access=access) for i in (0, 1))
    assert fine.info.levels == 2
    assert fine.info.voxel_size == VoxelSize(2.0, 0.5, 0.25)
    assert coarse.info.voxel_size == VoxelSize(4.0, 1.0, 0.5)
    assert coarse.info.shape == (2, 3, 4)
    given_size = open_image(ImageRef(path, level=1), voxel_size=VoxelSize(1, 1, 1), access=access).info.voxel_size
    assert given_size == VoxelSize(2, 2, 2)


@pytest.mark.parametrize(
    ("unit", "want"),
    [
        ("micrometer", 0.5),
        ("nanometer", 0.0005),
        ("millimeter", 500.0),
        ("µm", 0.5),
        ("um", 0.5),
        ("micrometre", 0.5),
        ("pixel", None),
        (None, None),
    ],
)
def test_units(make_image: Make, tmp_path: Path, access: AccessPolicy, unit: str | None, want: float | None) -> None:
    path = str(make_image(tmp_path / "a", np.zeros((2, 3, 4), np.uint8), scale=(0.5, 0.5, 0.5), unit=unit))
    size = open_image(ImageRef(path), access=access).info.voxel_size
    if want is None:
        assert size is None
    else:
        assert size is not None and tuple(size) == pytest.approx((want, want, want))


def test_a_2d_image_has_a_voxel_size_of_one_in_z(make_image: Make, tmp_path: Path, access: AccessPolicy) -> None:
    path = str(make_image(tmp_path / "a", np.zeros((3, 4), np.uint8), "yx", scale=(0.3, 0.2)))
    info = open_image(ImageRef(path), access=access).info
    assert info.voxel_size == VoxelSize(1.0, 0.3, 0.2) and info.is_2d


def test_scales_of_the_whole_and_of_a_level_multiply(make_image: Make, tmp_path: Path, access: AccessPolicy) -> None:
    path = make_image(tmp_path / "a", np.zeros((2, 3, 4), np.uint8), scale=(2, 1, 1))
    document = json.loads((path / "zarr.json").read_text())
    outer = [{"type": "scale", "scale": [1, 0.25, 0.25]}]
    document["attributes"]["ome"]["multiscales"][0]["coordinateTransformations"] = outer
    (path / "zarr.json").write_text(json.dumps(document))
    assert open_image(ImageRef(str(path)), access=access).info.voxel_size == VoxelSize(2, 0.25, 0.25)


def test_many_threads_read_at_once(make_image: Make, tmp_path: Path, access: AccessPolicy) -> None:
    pixels = np.random.default_rng(0).integers(0, 60000, (8, 32, 32), np.uint16)
    image = open_image(ImageRef(str(make_image(tmp_path / "a", pixels, chunks=(2, 8, 8)))), access=access)
    boxes = [Box((z, y, 0), (z + 2, y + 8, 32)) for z in range(7) for y in range(0, 25, 3)]
    with ThreadPoolExecutor(8) as pool:
        for box, got in zip(boxes, pool.map(image.read, boxes), strict=True):
            np.testing.assert_array_equal(got, pixels[box.slices])


@pytest.mark.parametrize("separator", [".", "/"])
def test_zarr_2_chunk_names_with_dots(tmp_path: Path, volume: np.ndarray, access: AccessPolicy, separator: str) -> None:
    group = zarr.create_group(tmp_path / "a", zarr_format=2)
    encoding = {"name": "v2", "separator": separator}
    array = group.create_array("0", shape=volume.shape, dtype="u2", chunks=(2, 3, 4), chunk_key_encoding=encoding)
    array[...] = volume
    group.attrs["multiscales"] = [{"version": "0.4", "axes": [{"name": n} for n in "zyx"], "datasets": [{"path": "0"}]}]
    image = open_image(ImageRef(str(tmp_path / "a")), access=access)
    assert (tmp_path / "a" / "0" / separator.join("111")).exists() and image.info.voxel_size is None
    np.testing.assert_array_equal(image.read(Box.of(volume.shape)), volume)


@pytest.mark.parametrize(("version", "axes"), [("0.1", None), ("0.3", ["t", "c", "z", "y", "x"])])
def test_older_versions(
    tmp_path: Path, volume: np.ndarray, access: AccessPolicy, version: str, axes: list[str] | None
) -> None:
    group = zarr.create_group(tmp_path / "a", zarr_format=2)
    group.create_array("0", data=volume[None, None], chunks=(1, 1, 2, 3, 4))
    entry = {"version": version, "datasets": [{"path": "0"}], **({"axes": axes} if axes else {})}
    group.attrs["multiscales"] = [entry]
    image = open_image(ImageRef(str(tmp_path / "a")), access=access)
    assert image.info.axes.names == "tczyx"
    np.testing.assert_array_equal(image.read(Box.of(volume.shape)), volume)
