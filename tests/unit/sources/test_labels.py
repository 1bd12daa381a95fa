"""Existing labels as a source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import InvalidInput, NotFound
from noyau.domain.geometry import Box
from noyau.domain.image import ImageSource
from noyau.sources import list_labels, open_labels

Make = Callable[..., Path]
SHAPE = (2, 3, 4)


@pytest.fixture
def labels() -> np.ndarray:
    return np.arange(24, dtype=np.int32).reshape(SHAPE)


@pytest.fixture
def image(make_image: Make, tmp_path: Path, labels: np.ndarray) -> Path:
    """An image with two label groups."""
    path = make_image(tmp_path / "a.zarr", labels.astype(np.uint16), channels=["DAPI"])
    for name, add in (("nuclei", 0), ("truth", 100)):
        make_image(path / "labels" / name, labels + add)
        group = zarr.open_group(path / "labels" / name, mode="a")
        group.attrs.update({"ome": {**dict(group.attrs["ome"]), "image-label": {}}})
    zarr.open_group(path / "labels", mode="a").attrs.update({"ome": {"labels": ["nuclei", "truth"]}})
    return path


def read(source: ImageSource) -> np.ndarray:
    assert isinstance(source, ImageSource)
    got = source.read(Box.of(source.info.shape))
    assert got.dtype == np.uint32 and source.info.dtype == "uint32"
    return got


def test_by_name_and_by_path(image: Path, labels: np.ndarray, access: AccessPolicy) -> None:
    assert list_labels(str(image), access=access) == ("nuclei", "truth")
    np.testing.assert_array_equal(read(open_labels(str(image), name="truth", access=access)), labels + 100)
    np.testing.assert_array_equal(read(open_labels(f"{image}/labels/nuclei", access=access)), labels)


def test_the_only_group_needs_no_name(image: Path, labels: np.ndarray, access: AccessPolicy) -> None:
    with pytest.raises(InvalidInput, match="nuclei, truth"):
        open_labels(str(image), access=access)
    zarr.open_group(image / "labels", mode="a").attrs.update({"ome": {"labels": ["truth"]}})
    np.testing.assert_array_equal(read(open_labels(str(image), access=access)), labels + 100)


def test_unknown_name(image: Path, access: AccessPolicy) -> None:
    with pytest.raises(NotFound, match="nuclei, truth"):
        open_labels(str(image), name="cells", access=access)


def test_an_image_without_labels(make_image: Make, tmp_path: Path, labels: np.ndarray, access: AccessPolicy) -> None:
    path = make_image(tmp_path / "b.zarr", labels, channels=["DAPI"])
    with pytest.raises(InvalidInput, match="none"):
        open_labels(str(path), access=access)


def test_npz_and_npy_and_tiff(tmp_path: Path, labels: np.ndarray, access: AccessPolicy) -> None:
    np.savez(tmp_path / "a.npz", image=labels * 0, labels=labels)
    np.save(tmp_path / "a.npy", labels)
    tifffile.imwrite(tmp_path / "a.tif", labels.astype(np.uint16), photometric="minisblack")
    for name in ("a.npz", "a.npy", "a.tif"):
        np.testing.assert_array_equal(read(open_labels(str(tmp_path / name), access=access)), labels)


@pytest.mark.parametrize("bad", [np.full(SHAPE, -1), np.full(SHAPE, 2**32), np.full(SHAPE, 0.5)])
def test_numbers_that_are_no_labels(tmp_path: Path, bad: np.ndarray, access: AccessPolicy) -> None:
    np.savez(tmp_path / "a.npz", labels=bad)
    with pytest.raises(InvalidInput, match="whole numbers"):
        read(open_labels(str(tmp_path / "a.npz"), access=access))


def test_a_float_image_is_no_label_image(make_image: Make, tmp_path: Path, access: AccessPolicy) -> None:
    path = make_image(tmp_path / "a.zarr", np.zeros(SHAPE, np.float32))
    with pytest.raises(InvalidInput, match="not labels"):
        open_labels(str(path), access=access)
