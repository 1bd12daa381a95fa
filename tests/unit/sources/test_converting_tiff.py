"""TIFF, OME-TIFF and ImageJ stacks -> OME-Zarr."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import DamagedData, InvalidInput, NotFound
from noyau.domain.geometry import Box, VoxelSize
from noyau.domain.image import ImageInfo, ImageRef
from noyau.sources import open_image
from noyau.sources.convert import convert


def opened(uri: str) -> tuple[ImageInfo, np.ndarray]:
    """Metadata and all pixels as t, c, z, y, x."""
    with open_image(ImageRef(uri), access=AccessPolicy.everything()) as image:
        box = Box.of(image.info.shape)
        times, channels = range(image.info.times), range(len(image.info.channels))
        return image.info, np.stack([[image.read(box, time=t, channel=c) for c in channels] for t in times])


def pixels(*shape: int, dtype: str = "uint16") -> np.ndarray:
    return np.random.default_rng(0).integers(0, 250, shape).astype(dtype)


@pytest.mark.parametrize("tile", [None, (32, 32)])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_ome_tiff_with_axes_voxel_size_and_channels(
    tmp_path: Path, tile: tuple | None, compression: str | None
) -> None:
    data = pixels(2, 5, 3, 48, 64)
    meta = {
        "axes": "TZCYX",
        "PhysicalSizeX": 200.0,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.25,
        "PhysicalSizeYUnit": "µm",
        "PhysicalSizeZ": 0.001,
        "PhysicalSizeZUnit": "mm",
        "Channel": {"Name": ["DAPI", "GFP", "RFP"]},
    }
    src = tmp_path / "a.ome.tif"
    tifffile.imwrite(src, data, metadata=meta, tile=tile, compression=compression)
    made = convert(str(src), str(tmp_path / "a.zarr"))
    info, got = opened(made.uri)
    assert (info.channels, info.times, info.shape) == (("DAPI", "GFP", "RFP"), 2, (5, 48, 64))
    assert tuple(info.voxel_size or ()) == pytest.approx((1.0, 0.25, 0.2))
    np.testing.assert_array_equal(got, data.transpose(0, 2, 1, 3, 4))


@pytest.mark.parametrize("unit", ["micron", "\\u00B5m", "um"])
def test_imagej_hyperstack(tmp_path: Path, unit: str) -> None:
    data = pixels(3, 5, 2, 20, 24)
    tifffile.imwrite(
        tmp_path / "a.tif",
        data,
        imagej=True,
        resolution=(4.0, 2.0),
        metadata={"axes": "TZCYX", "spacing": 1.5, "unit": unit},
    )
    info, got = opened(convert(str(tmp_path / "a.tif"), str(tmp_path / "a.zarr")).uri)
    assert tuple(info.voxel_size or ()) == pytest.approx((1.5, 0.5, 0.25))
    np.testing.assert_array_equal(got, data.transpose(0, 2, 1, 3, 4))


@pytest.mark.parametrize(
    ("shape", "photometric", "axes", "want"),
    [
        ((30, 40), "minisblack", "yx", (1, 1, 1, 30, 40)),
        ((7, 30, 40), "minisblack", "zyx", (1, 1, 7, 30, 40)),
        ((30, 40, 3), "rgb", "cyx", (1, 3, 1, 30, 40)),
    ],
)
def test_plain_tiff(tmp_path: Path, shape: tuple, photometric: str, axes: str, want: tuple) -> None:
    data = pixels(*shape, dtype="uint8")
    tifffile.imwrite(tmp_path / "a.tif", data, photometric=photometric)
    made = convert(str(tmp_path / "a.tif"), str(tmp_path / "a.zarr"))
    info, got = opened(made.uri)
    assert made.axes == axes and got.shape == want and info.voxel_size is None
    np.testing.assert_array_equal(got.reshape(-1), (data.transpose(2, 0, 1) if axes == "cyx" else data).reshape(-1))
    if axes == "cyx":
        assert info.channels == ("red", "green", "blue")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "float32", "float64"])
def test_types_and_byte_orders(tmp_path: Path, order: str, dtype: str) -> None:
    data = pixels(3, 20, 24, dtype=dtype)
    tifffile.imwrite(tmp_path / "a.tif", data, byteorder=order, photometric="minisblack")
    info, got = opened(convert(str(tmp_path / "a.tif"), str(tmp_path / "a.zarr")).uri)
    assert info.dtype == dtype
    np.testing.assert_array_equal(got[0, 0], data)


@pytest.mark.parametrize("compression", ["lzw", "zlib", "zstd"])
def test_compressed_files(tmp_path: Path, compression: str) -> None:
    data = pixels(3, 20, 24)
    tifffile.imwrite(tmp_path / "a.tif", data, compression=compression, photometric="minisblack")
    np.testing.assert_array_equal(opened(convert(str(tmp_path / "a.tif"), str(tmp_path / "a.zarr")).uri)[1][0, 0], data)


def test_the_users_voxel_size_and_axes_win(tmp_path: Path) -> None:
    data = pixels(6, 20, 24)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack")
    made = convert(str(tmp_path / "a.tif"), str(tmp_path / "a.zarr"), axes="cyx", voxel_size=VoxelSize(1, 0.5, 0.5))
    info, got = opened(made.uri)
    assert made.axes == "cyx" and info.voxel_size == VoxelSize(1, 0.5, 0.5)
    np.testing.assert_array_equal(got[0, :, 0], data)


def test_a_file_with_several_images(tmp_path: Path) -> None:
    first, second = pixels(20, 24), pixels(30, 34) + 1
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(first, photometric="minisblack")
        writer.write(second, photometric="minisblack")
    made = convert(str(tmp_path / "a.tif"), str(tmp_path / "a.zarr"))
    assert any("2 images" in s for s in made.statements)
    np.testing.assert_array_equal(opened(made.uri)[1][0, 0, 0], first)
    made = convert(str(tmp_path / "a.tif"), str(tmp_path / "b.zarr"), series=1)
    np.testing.assert_array_equal(opened(made.uri)[1][0, 0, 0], second)
    with pytest.raises(NotFound, match="which has 2"):
        convert(str(tmp_path / "a.tif"), str(tmp_path / "c.zarr"), series=2)


def test_what_is_no_tiff(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"no tiff at all")
    with pytest.raises(InvalidInput, match="not a TIFF"):
        convert(str(tmp_path / "a.tif"), str(tmp_path / "a.zarr"))
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


def test_a_truncated_tiff_leaves_nothing_behind(tmp_path: Path) -> None:
    src = tmp_path / "a.tif"
    tifffile.imwrite(src, pixels(5, 64, 64), photometric="minisblack", compression="zlib", metadata=None)
    whole = src.read_bytes()
    src.write_bytes(whole[:3000])
    with pytest.raises((DamagedData, InvalidInput)):
        convert(str(src), str(tmp_path / "a.zarr"))
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.slow
def test_a_file_larger_than_the_memory_it_may_use(tmp_path: Path) -> None:
    """300 MB of pixels pass through a process whose address space may grow by less than that."""
    data = np.zeros((600, 512, 512), np.uint16)
    data[::50, 100, 100] = 7
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack", compression="zlib")
    code = (
        "import resource, sys; from noyau.sources.convert import convert; import zarr, tifffile, ome_zarr.axes\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"convert({str(tmp_path / 'a.tif')!r}, {str(tmp_path / 'a.zarr')!r})\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    grown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(grown.stdout) < 220
    with open_image(ImageRef(str(tmp_path / "a.zarr")), access=AccessPolicy.everything()) as image:
        assert image.read(Box((550, 100, 100), (551, 101, 101))).item() == 7
