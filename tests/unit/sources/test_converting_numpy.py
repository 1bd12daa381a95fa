"""npz and npy -> OME-Zarr: the same pixels, the right axes, nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorstore as ts
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import (
    AlreadyExists,
    DamagedData,
    FailedPrecondition,
    InvalidInput,
    JobCancelled,
    LimitExceeded,
    NotFound,
    NoyauError,
    PermissionRefused,
)
from noyau.domain.geometry import Box, VoxelSize
from noyau.domain.image import ImageRef
from noyau.sources import open_image, open_labels
from noyau.sources.convert import convert
from noyau.sources.raster import name_axes

SIZE = VoxelSize(1.75, 0.8, 0.8)


def save(path: Path, **arrays: np.ndarray) -> str:
    np.savez(path, **arrays)
    return str(path)


def read_all(uri: str, channel: int = 0, time: int = 0, level: int = 0) -> np.ndarray:
    with open_image(ImageRef(uri, level=level), access=AccessPolicy.everything()) as image:
        return image.read(Box.of(image.info.shape), channel=channel, time=time)


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
def test_a_volume_with_its_voxel_size(tmp_path: Path, volume: np.ndarray, ngff: str) -> None:
    src, dst = save(tmp_path / "a.npz", image=volume, labels=volume), str(tmp_path / "a.ome.zarr")
    made = convert(src, dst, voxel_size=SIZE, ngff=ngff)
    assert (made.axes, made.shape, made.dtype, made.voxel_size) == ("zyx", (4, 6, 8), "uint16", SIZE)
    image = open_image(ImageRef(dst), access=AccessPolicy.everything())
    assert image.info.voxel_size == SIZE and image.info.levels == 1
    np.testing.assert_array_equal(read_all(dst), volume)
    assert (tmp_path / "a.ome.zarr" / ("zarr.json" if ngff == "0.5" else ".zattrs")).exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz", "a.ome.zarr"]


@settings(max_examples=40, deadline=None)
@given(
    pixels=npst.arrays(
        dtype=st.sampled_from(["?", "u1", "i1", "<u2", ">u2", "<i2", ">i4", "<u4", "<f4", ">f8"]),
        shape=npst.array_shapes(min_dims=2, max_dims=5, min_side=1, max_side=5),
    ),
    ngff=st.sampled_from(["0.4", "0.5"]),
)
def test_pixels_survive_whatever_their_type_and_shape(
    tmp_path_factory: pytest.TempPathFactory, pixels: np.ndarray, ngff: str
) -> None:
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        pixels = np.nan_to_num(pixels, posinf=0, neginf=0)
    folder = tmp_path_factory.mktemp("any")
    made = convert(save(folder / "a.npz", image=pixels), str(folder / "a.zarr"), ngff=ngff)
    canonical = {2: "yx", 3: "zyx", 4: "czyx", 5: "tczyx"}[pixels.ndim]
    assert made.axes == canonical and made.dtype == pixels.dtype.newbyteorder("=").name
    for time in range(pixels.shape[0] if pixels.ndim == 5 else 1):
        volumes = pixels[time] if pixels.ndim == 5 else pixels
        for channel in range(volumes.shape[0] if pixels.ndim >= 4 else 1):
            want = volumes[channel] if pixels.ndim >= 4 else volumes
            got = read_all(made.uri, channel, time)
            np.testing.assert_array_equal(got, want.reshape(got.shape))


@pytest.mark.parametrize(
    ("shape", "axes", "channel_axis", "want"),
    [
        ((100, 120), None, None, "yx"),
        ((100, 120, 3), None, None, "yxc"),
        ((100, 120, 4), None, None, "yxc"),
        ((100, 120, 1), None, None, "zyx"),
        ((10, 12, 3), None, None, "zyx"),
        ((3, 100, 120), None, None, "zyx"),
        ((3, 100, 120), None, 0, "cyx"),
        ((100, 120, 3), "zyx", None, "zyx"),
        ((10, 100, 120, 2), None, None, "zyxc"),
        ((2, 10, 100, 120), None, None, "czyx"),
        ((10, 2, 100, 120), None, 1, "zcyx"),
        ((10, 100, 120, 2), None, -1, "zyxc"),
        ((2, 3, 4, 5, 6), None, None, "tczyx"),
        ((2, 3, 4, 5), "tzyx", None, "tzyx"),
    ],
)
def test_axes_are_guessed_or_given(
    shape: tuple[int, ...], axes: str | None, channel_axis: int | None, want: str
) -> None:
    assert name_axes(shape, axes, channel_axis, "a")[0].names == want


@pytest.mark.parametrize(
    ("shape", "axes", "channel_axis"),
    [((5,), None, None), ((2, 3), "zyx", None), ((2, 3), "yy", None), ((2, 3), None, 0), ((2, 3, 4), None, 3)],
)
def test_axes_that_do_not_fit(shape: tuple[int, ...], axes: str | None, channel_axis: int | None) -> None:
    with pytest.raises(InvalidInput):
        name_axes(shape, axes, channel_axis, "a")


def test_a_colour_image_becomes_channels_and_says_so(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    made = convert(save(tmp_path / "a.npz", image=pixels), str(tmp_path / "a.zarr"))
    assert made.axes == "cyx" and any("channels" in s for s in made.statements)
    image = open_image(ImageRef(made.uri), access=AccessPolicy.everything())
    assert image.info.channels == ("red", "green", "blue")
    for channel in range(3):
        np.testing.assert_array_equal(read_all(made.uri, channel)[0], pixels[..., channel])


def test_a_2d_image_takes_y_and_x_of_the_voxel_size_and_can_do_without(tmp_path: Path) -> None:
    src = save(tmp_path / "a.npz", image=np.ones((30, 40), np.uint8))
    made = convert(src, str(tmp_path / "a.zarr"), voxel_size=SIZE)
    assert open_image(ImageRef(made.uri), access=AccessPolicy.everything()).info.voxel_size == VoxelSize(1, 0.8, 0.8)
    bare = convert(src, str(tmp_path / "b.zarr"))
    assert bare.voxel_size is None and any("pixels" in s for s in bare.statements)


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
def test_the_pyramid_halves_the_planes_by_means(tmp_path: Path, ngff: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 60000, (5, 601, 320), np.uint16)
    made = convert(save(tmp_path / "a.npz", image=pixels), str(tmp_path / "a.zarr"), voxel_size=SIZE, ngff=ngff)
    assert made.levels == 3
    infos = [open_image(ImageRef(made.uri, level=i), access=AccessPolicy.everything()).info for i in range(3)]
    assert [i.shape for i in infos] == [(5, 601, 320), (5, 301, 160), (5, 151, 80)]
    assert infos[2].voxel_size == VoxelSize(1.75, 3.2, 3.2)
    got, exact = read_all(made.uri, level=1), pixels.astype(float)
    want = (exact[:, 0:600:2, ::2] + exact[:, 1:600:2, ::2] + exact[:, 0:600:2, 1::2] + exact[:, 1:600:2, 1::2]) / 4
    assert np.abs(got[:, :300] - want).max() <= 0.5
    np.testing.assert_allclose(got[:, 300], (exact[:, 600, ::2] + exact[:, 600, 1::2]) / 2, atol=0.5)


def test_coarse_levels_say_where_they_lie(tmp_path: Path) -> None:
    src = save(tmp_path / "a.npz", image=np.zeros((300, 300), np.uint8))
    made = convert(src, str(tmp_path / "a.zarr"), voxel_size=VoxelSize(1, 0.5, 0.5))
    document = json.loads((Path(made.uri) / "zarr.json").read_text())
    level = document["attributes"]["ome"]["multiscales"][0]["datasets"][1]["coordinateTransformations"]
    assert level == [{"type": "scale", "scale": [1.0, 1.0]}, {"type": "translation", "translation": [0.25, 0.25]}]


def test_empty_chunks_are_stored_so_that_strict_reading_works(tmp_path: Path) -> None:
    made = convert(save(tmp_path / "a.npz", image=np.zeros((40, 300, 300), np.uint16)), str(tmp_path / "a.zarr"))
    assert not read_all(made.uri).any()


def test_large_volumes_are_sharded_in_version_0_5(tmp_path: Path) -> None:
    source = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.uint8, (130, 1024, 1024))
    source[64, 500, 600] = 9
    source.flush()
    made = convert(str(tmp_path / "a.npy"), str(tmp_path / "a.zarr"), voxel_size=VoxelSize(1, 1, 1))
    array = ts.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{made.uri}/0/"}}, open=True).result()
    assert array.chunk_layout.write_chunk.shape == (64, 512, 512)
    assert array.chunk_layout.read_chunk.shape == (32, 256, 256)
    image = open_image(ImageRef(made.uri), access=AccessPolicy.everything())
    assert image.read(Box((64, 500, 600), (65, 501, 601))).item() == 9


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
def test_labels_of_the_npz_become_a_label_group(tmp_path: Path, volume: np.ndarray, ngff: str) -> None:
    labels = (volume % 5).astype(np.int64)
    src = save(tmp_path / "a.npz", image=volume, labels=labels)
    made = convert(src, str(tmp_path / "a.zarr"), voxel_size=SIZE, labels="truth", ngff=ngff)
    source = open_labels(made.uri, name="truth", access=AccessPolicy.everything())
    np.testing.assert_array_equal(source.read(Box.of(volume.shape)), labels)
    assert source.info.voxel_size == SIZE and source.info.dtype == "uint32"


class TestRefusals:
    """What cannot be converted: the error, and nothing new in the folder."""

    def refused(self, kind: type[NoyauError], tmp_path: Path, src: str, dst: str = "a.zarr", **options: object) -> str:
        before = sorted(tmp_path.iterdir())
        with pytest.raises(kind) as caught:
            convert(src, str(tmp_path / dst), **options)  # type: ignore[arg-type]
        assert sorted(tmp_path.iterdir()) == before
        return str(caught.value)

    def test_missing_source(self, tmp_path: Path) -> None:
        assert "There is nothing at" in self.refused(NotFound, tmp_path, str(tmp_path / "absent.npz"))

    def test_unknown_type(self, tmp_path: Path) -> None:
        (tmp_path / "a.czi").write_bytes(b"x")
        assert ".npz" in self.refused(InvalidInput, tmp_path, str(tmp_path / "a.czi"))

    def test_missing_array_names_those_that_are_there(self, tmp_path: Path, volume: np.ndarray) -> None:
        src = save(tmp_path / "a.npz", pixels=volume, mask=volume)
        assert "pixels, mask" in self.refused(NotFound, tmp_path, src)
        assert "labels" in self.refused(NotFound, tmp_path, src, key="pixels", labels="truth")

    def test_damaged_file(self, tmp_path: Path, volume: np.ndarray) -> None:
        src = Path(save(tmp_path / "a.npz", image=volume))
        src.write_bytes(src.read_bytes()[:100])
        assert "numpy" in self.refused(DamagedData, tmp_path, str(src))

    def test_objects_are_never_unpickled(self, tmp_path: Path) -> None:
        src = save(tmp_path / "a.npz", image=np.array([{"a": 1}], dtype=object))
        assert "objects" in self.refused(InvalidInput, tmp_path, src)

    @pytest.mark.parametrize("shape", [(0, 4), (3, 0, 4)])
    def test_empty(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        assert "empty" in self.refused(InvalidInput, tmp_path, save(tmp_path / "a.npz", image=np.zeros(shape)))

    @pytest.mark.parametrize("pixels", [np.array([["a", "b"]]), np.zeros((2, 3), complex)])
    def test_no_numbers(self, tmp_path: Path, pixels: np.ndarray) -> None:
        self.refused(InvalidInput, tmp_path, save(tmp_path / "a.npz", image=pixels))

    def test_existing_output_stays_as_it_is(self, tmp_path: Path, volume: np.ndarray) -> None:
        made = convert(save(tmp_path / "a.npz", image=volume), str(tmp_path / "a.zarr"))
        src = save(tmp_path / "b.npz", image=volume + 1)
        assert "--overwrite" in self.refused(AlreadyExists, tmp_path, src)
        np.testing.assert_array_equal(read_all(made.uri), volume)
        convert(src, made.uri, overwrite=True)
        np.testing.assert_array_equal(read_all(made.uri), volume + 1)

    def test_a_failure_while_overwriting_keeps_the_old_image(self, tmp_path: Path, volume: np.ndarray) -> None:
        made = convert(save(tmp_path / "a.npz", image=volume), str(tmp_path / "a.zarr"))
        src = save(tmp_path / "b.npz", image=volume + 1)

        def stop() -> None:
            raise JobCancelled("stop")

        self.refused(JobCancelled, tmp_path, src, overwrite=True, check=stop)
        np.testing.assert_array_equal(read_all(made.uri), volume)

    def test_output_outside_the_roots(self, tmp_path: Path, volume: np.ndarray) -> None:
        (tmp_path / "in").mkdir()
        src = save(tmp_path / "in" / "a.npz", image=volume)
        self.refused(PermissionRefused, tmp_path, src, access=AccessPolicy(roots=(str(tmp_path / "in"),)))

    def test_unknown_version(self, tmp_path: Path, volume: np.ndarray) -> None:
        assert "0.5" in self.refused(InvalidInput, tmp_path, save(tmp_path / "a.npz", image=volume), ngff="0.3")

    def test_labels_that_do_not_fit(self, tmp_path: Path, volume: np.ndarray) -> None:
        src = save(tmp_path / "a.npz", image=volume, labels=volume[1:])
        assert "fit" in self.refused(InvalidInput, tmp_path, src, labels="truth")
        src = save(tmp_path / "b.npz", image=volume, labels=volume.astype(int) - 10**6)
        assert "whole numbers" in self.refused(InvalidInput, tmp_path, src, labels="truth")

    @pytest.mark.parametrize("name", ["../truth", "a/b", ".hidden"])
    def test_names_of_labels_that_lead_elsewhere(self, tmp_path: Path, volume: np.ndarray, name: str) -> None:
        self.refused(InvalidInput, tmp_path, save(tmp_path / "a.npz", image=volume, labels=volume), labels=name)

    def test_full_disk(self, tmp_path: Path, small_disk: Path) -> None:
        src = save(tmp_path / "a.npz", image=np.random.default_rng(0).integers(0, 60000, (9, 300, 300), np.uint16))
        with pytest.raises(LimitExceeded, match="space"):
            convert(src, str(small_disk / "a.zarr"))
        assert not any(small_disk.iterdir())

    def test_read_only_target(self, volume: np.ndarray, tmp_path: Path) -> None:
        src = save(tmp_path / "a.npz", image=volume)
        with pytest.raises(FailedPrecondition, match="read-only"):
            convert(src, "/sys/noyau/a.zarr")
