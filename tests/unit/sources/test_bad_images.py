"""Images that cannot be used: one clear sentence each, of the right kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import (
    DamagedData,
    InvalidInput,
    LimitExceeded,
    NotFound,
    NoyauError,
    OutOfRange,
    PermissionRefused,
)
from noyau.domain.geometry import Box
from noyau.domain.image import ImageRef
from noyau.sources import open_image

Make = Callable[..., Path]


def change(path: Path, edit: Callable[[dict], None]) -> None:
    """Edits the NGFF attributes of a 0.5 image."""
    document = json.loads((path / "zarr.json").read_text())
    edit(document["attributes"]["ome"])
    (path / "zarr.json").write_text(json.dumps(document))


def refusal(kind: type[NoyauError], ref: ImageRef, access: AccessPolicy, **options: bool) -> str:
    with pytest.raises(kind) as caught:
        open_image(ref, access=access, **options)
    assert type(caught.value) is kind
    return str(caught.value)


def test_missing_path(tmp_path: Path, access: AccessPolicy) -> None:
    assert "There is nothing at" in refusal(NotFound, ImageRef(str(tmp_path / "absent")), access)


def test_folder_that_is_no_zarr(tmp_path: Path, access: AccessPolicy) -> None:
    assert "is not a Zarr" in refusal(InvalidInput, ImageRef(str(tmp_path)), access)


@pytest.mark.parametrize("name", ["a.npz", "a.tif"])
def test_file_that_can_be_converted(tmp_path: Path, access: AccessPolicy, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert f"noyau convert {name}" in refusal(InvalidInput, ImageRef(str(tmp_path / name)), access)


def test_zarr_without_an_image(make_image: Make, tmp_path: Path, volume: np.ndarray, access: AccessPolicy) -> None:
    path = make_image(tmp_path / "a", volume)
    change(path, lambda ome: ome.pop("multiscales"))
    assert "no multiscales" in refusal(InvalidInput, ImageRef(str(path)), access)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_zarr_array(make_image: Make, tmp_path: Path, volume: np.ndarray, access: AccessPolicy, version: str) -> None:
    path = make_image(tmp_path / "a", volume, version=version)
    assert "array" in refusal(InvalidInput, ImageRef(str(path / "0")), access)


def test_metadata_that_is_not_json(make_image: Make, tmp_path: Path, volume: np.ndarray, access: AccessPolicy) -> None:
    path = make_image(tmp_path / "a", volume)
    (path / "zarr.json").write_text("{ not json")
    assert "zarr.json" in refusal(DamagedData, ImageRef(str(path)), access)


@pytest.mark.parametrize(
    "axes",
    [["z", "y", "q"], ["z", "y", "y"], ["z", "y"], ["t", "c", "z"], [], ["zed", "y", "x"], None, "zyx"],
)
def test_wrong_axes(make_image: Make, tmp_path: Path, volume: np.ndarray, access: AccessPolicy, axes: list) -> None:
    path = make_image(tmp_path / "a", volume)
    named = [{"name": a} for a in axes] if isinstance(axes, list) else axes
    change(path, lambda ome: ome["multiscales"][0].update(axes=named))
    message = refusal(InvalidInput, ImageRef(str(path)), access)
    assert "axes" in message.lower() or "axis" in message.lower()


@pytest.mark.parametrize("broken", ["/etc", "../b/0", 7, "", "absent"])
def test_dataset_paths_stay_below_the_image(
    make_image: Make, tmp_path: Path, volume: np.ndarray, access: AccessPolicy, broken: object
) -> None:
    path = make_image(tmp_path / "a", volume)
    make_image(tmp_path / "b", volume)
    change(path, lambda ome: ome["multiscales"][0]["datasets"][0].update(path=broken))
    refusal(NotFound if broken == "absent" else InvalidInput, ImageRef(str(path)), access)


def test_a_level_that_is_a_link_out_of_the_root(make_image: Make, tmp_path: Path, volume: np.ndarray) -> None:
    (tmp_path / "root").mkdir()
    secret, path = make_image(tmp_path / "secret", volume), make_image(tmp_path / "root" / "a", volume)
    (path / "0").rename(path / "old")
    (path / "0").symlink_to(secret / "0")
    assert "roots" in refusal(PermissionRefused, ImageRef(str(path)), AccessPolicy(roots=(str(tmp_path / "root"),)))


@pytest.mark.parametrize("scale", [[1, 2], ["a", "b", "c"], [1, 2, 3, 4]])
def test_scales_that_do_not_fit(
    make_image: Make, tmp_path: Path, volume: np.ndarray, access: AccessPolicy, scale: list
) -> None:
    path = make_image(tmp_path / "a", volume)
    transforms = [{"type": "scale", "scale": scale}]
    change(path, lambda ome: ome["multiscales"][0]["datasets"][0].update(coordinateTransformations=transforms))
    assert "transformations" in refusal(InvalidInput, ImageRef(str(path)), access)


def test_unknown_channel_names_the_known_ones(make_image: Make, tmp_path: Path, access: AccessPolicy) -> None:
    path = make_image(tmp_path / "a", np.zeros((2, 2, 3, 4), np.uint8), "czyx", channels=["DAPI", "GFP"])
    message = refusal(NotFound, ImageRef(str(path), channel="RFP"), access)
    assert "DAPI" in message and "GFP" in message
    for channel in (2, -1, "2"):
        assert "DAPI" in refusal(OutOfRange, ImageRef(str(path), channel=channel), access)


@pytest.mark.parametrize("level", [1, -1])
def test_unknown_level(make_image: Make, tmp_path: Path, volume: np.ndarray, access: AccessPolicy, level: int) -> None:
    path = make_image(tmp_path / "a", volume)
    assert f"Level {level}" in refusal(OutOfRange, ImageRef(str(path), level=level), access)


@pytest.mark.parametrize("time", [(0, 1), (1, 1), (-1, 0), (1, 0)])
def test_unknown_time(
    make_image: Make, tmp_path: Path, volume: np.ndarray, access: AccessPolicy, time: tuple[int, int]
) -> None:
    path = make_image(tmp_path / "a", volume)
    assert "Time" in refusal(OutOfRange, ImageRef(str(path), time=time), access)


def test_empty_volume(make_image: Make, tmp_path: Path, access: AccessPolicy) -> None:
    path = make_image(tmp_path / "a", np.zeros((0, 4, 4), np.uint8), chunks=(1, 4, 4))
    assert "is empty" in refusal(InvalidInput, ImageRef(str(path)), access)


def test_too_many_voxels(make_image: Make, tmp_path: Path, volume: np.ndarray) -> None:
    path = make_image(tmp_path / "a", volume)
    policy = AccessPolicy.everything(max_voxels=volume.size - 1)
    assert "192 voxels" in refusal(LimitExceeded, ImageRef(str(path)), policy)
    open_image(ImageRef(str(path)), access=AccessPolicy.everything(max_voxels=volume.size))


def test_complex_pixels(make_image: Make, tmp_path: Path, access: AccessPolicy) -> None:
    path = make_image(tmp_path / "a", np.zeros((2, 3, 4), np.complex64))
    assert "complex64" in refusal(InvalidInput, ImageRef(str(path)), access)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_number_are_refused_where_they_are(
    make_image: Make, tmp_path: Path, access: AccessPolicy, value: float
) -> None:
    pixels = np.zeros((4, 5, 6), np.float32)
    pixels[2, 3, 4] = value
    image = open_image(ImageRef(str(make_image(tmp_path / "a", pixels))), access=access)
    image.read(Box((0, 0, 0), (2, 5, 6)))
    with pytest.raises(InvalidInput, match="2, 3, 4"):
        image.read(Box((1, 1, 1), (4, 5, 6)))


def test_boxes_and_times_outside_the_image(
    make_image: Make, tmp_path: Path, volume: np.ndarray, access: AccessPolicy
) -> None:
    image = open_image(ImageRef(str(make_image(tmp_path / "a", volume))), access=access)
    with pytest.raises(OutOfRange):
        image.read(Box((0, 0, 0), (5, 6, 8)))
    with pytest.raises(OutOfRange):
        image.read(Box.of(volume.shape), time=1)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
class TestChunks:
    """Missing and damaged chunks. The chunk in question covers z 2-3, y 3-5, x 4-7."""

    BOX = Box((2, 3, 4), (4, 6, 8))
    KEY = ("0/1/1/1", "0/c/1/1/1")

    def image(self, make_image: Make, tmp_path: Path, volume: np.ndarray, version: str) -> tuple[Path, Path]:
        path = make_image(tmp_path / "a", volume, version=version, chunks=(2, 3, 4))
        return path, path / self.KEY[version == "0.5"]

    def test_a_missing_chunk_is_named(
        self, make_image: Make, tmp_path: Path, volume: np.ndarray, access: AccessPolicy, version: str
    ) -> None:
        path, chunk = self.image(make_image, tmp_path, volume, version)
        chunk.unlink()
        image = open_image(ImageRef(str(path)), access=access)
        image.read(Box((0, 0, 0), (2, 6, 8)))
        with pytest.raises(DamagedData) as caught:
            image.read(self.BOX)
        assert str(chunk.relative_to(path)) in str(caught.value)
        assert "--fill-missing" in str(caught.value)

    def test_a_missing_chunk_may_count_as_zero(
        self, make_image: Make, tmp_path: Path, volume: np.ndarray, access: AccessPolicy, version: str
    ) -> None:
        path, chunk = self.image(make_image, tmp_path, volume, version)
        chunk.unlink()
        got = open_image(ImageRef(str(path)), access=access, fill_missing=True).read(Box.of(volume.shape))
        assert not got[self.BOX.slices].any()
        got[self.BOX.slices] = volume[self.BOX.slices]
        np.testing.assert_array_equal(got, volume)

    @pytest.mark.parametrize("fill_missing", [False, True])
    def test_a_damaged_chunk_is_named_in_both_modes(
        self,
        make_image: Make,
        tmp_path: Path,
        volume: np.ndarray,
        access: AccessPolicy,
        version: str,
        fill_missing: bool,
    ) -> None:
        path, chunk = self.image(make_image, tmp_path, volume, version)
        chunk.write_bytes(chunk.read_bytes()[:-7])
        image = open_image(ImageRef(str(path)), access=access, fill_missing=fill_missing)
        with pytest.raises(DamagedData) as caught:
            image.read(self.BOX)
        assert str(chunk.relative_to(path)) in str(caught.value)
        np.testing.assert_array_equal(image.read(Box((0, 0, 0), (2, 3, 4))), volume[:2, :3, :4])


def test_a_damaged_shard_is_named(make_image: Make, tmp_path: Path, volume: np.ndarray, access: AccessPolicy) -> None:
    path = make_image(tmp_path / "a", volume, chunks=(2, 3, 4), shards=(4, 6, 4))
    shard = path / "0" / "c" / "0" / "0" / "1"
    shard.write_bytes(shard.read_bytes()[:-3])
    with pytest.raises(DamagedData, match="0/c/0/0/1"):
        open_image(ImageRef(str(path)), access=access).read(Box.of(volume.shape))


@pytest.mark.parametrize("name", ["zarr.json", "0/zarr.json", "0/c/1/1/1"])
def test_a_file_of_the_image_that_is_a_link_out_of_the_root(
    make_image: Make, tmp_path: Path, volume: np.ndarray, name: str
) -> None:
    (tmp_path / "root").mkdir()
    secret = make_image(tmp_path / "secret", volume, chunks=(2, 3, 4))
    path = make_image(tmp_path / "root" / "a", volume, chunks=(2, 3, 4))
    (path / name).unlink()
    (path / name).symlink_to(secret / name)
    refusal(PermissionRefused, ImageRef(str(path)), AccessPolicy(roots=(str(tmp_path / "root"),)))
    open_image(ImageRef(str(path)), access=AccessPolicy(roots=(str(tmp_path),)))
