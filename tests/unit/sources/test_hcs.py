"""Plates, wells, fields and bioformats2raw files as targets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import InvalidInput, NotFound, PermissionRefused
from noyau.domain.geometry import Box
from noyau.domain.image import ImageRef
from noyau.sources import expand, open_image

Make = Callable[..., Path]
FIELDS = ("A/1/0", "A/1/1", "B/2/0")


def set_attributes(path: Path, version: str, ngff: dict[str, Any]) -> None:
    group = zarr.open_group(path, mode="a", zarr_format=3 if version == "0.5" else 2)
    group.attrs.update({"ome": {"version": version, **ngff}} if version == "0.5" else ngff)


@pytest.fixture(params=["0.4", "0.5"])
def plate(request: pytest.FixtureRequest, make_image: Make, tmp_path: Path) -> Path:
    """Two wells with two fields and one."""
    path, version = tmp_path / "plate.zarr", request.param
    wells = [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}, {"path": "B/2", "rowIndex": 1, "columnIndex": 1}]
    set_attributes(path, version, {"plate": {"wells": wells, "rows": [], "columns": [], "version": version}})
    for number, field in enumerate(FIELDS):
        make_image(path / field, np.full((2, 3, 4), number, np.uint8), version=version)
    set_attributes(path / "A/1", version, {"well": {"images": [{"path": "0"}, {"path": "1"}], "version": version}})
    set_attributes(path / "B/2", version, {"well": {"images": [{"path": "0"}], "version": version}})
    return path


def test_a_plate_means_all_its_fields_in_order(plate: Path, access: AccessPolicy) -> None:
    refs = expand(ImageRef(str(plate), channel=0, level=0), access=access)
    assert [r.uri for r in refs] == [f"{plate}/{field}" for field in FIELDS]
    assert all(r.channel == 0 for r in refs)
    for number, ref in enumerate(refs):
        assert open_image(ref, access=access).read(Box.of((2, 3, 4))).max() == number


@pytest.mark.parametrize(("target", "want"), [("A/1", 2), ("B/2", 1), ("A/1/1", 1)])
def test_a_well_and_a_field(plate: Path, access: AccessPolicy, target: str, want: int) -> None:
    refs = expand(ImageRef(f"{plate}/{target}"), access=access)
    assert len(refs) == want and all(r.uri.startswith(f"{plate}/{target}") for r in refs)


def test_an_image_means_itself(make_image: Make, tmp_path: Path, volume: np.ndarray, access: AccessPolicy) -> None:
    ref = ImageRef(str(make_image(tmp_path / "a", volume)), channel="0", time=(0, 0))
    assert expand(ref, access=access) == [ref]


def test_a_well_that_is_listed_but_absent(plate: Path, access: AccessPolicy) -> None:
    (plate / "B").rename(plate.parent / "gone")
    with pytest.raises(InvalidInput, match="B/2"):
        expand(ImageRef(str(plate)), access=access)


def test_a_field_that_is_listed_but_absent(plate: Path, access: AccessPolicy) -> None:
    (plate / "A/1/1").rename(plate.parent / "gone")
    with pytest.raises(NotFound, match="A/1/1"):
        expand(ImageRef(str(plate)), access=access)


@pytest.mark.parametrize("path", ["../../secret", "", None, "A/../../secret"])
def test_paths_that_leave_the_plate(plate: Path, access: AccessPolicy, path: str | None) -> None:
    version = "0.5" if (plate / "zarr.json").exists() else "0.4"
    set_attributes(plate, version, {"plate": {"wells": [{"path": path}]}})
    with pytest.raises(InvalidInput, match="not below"):
        expand(ImageRef(str(plate)), access=access)


def test_a_field_that_is_a_link_out_of_the_root(plate: Path) -> None:
    (plate / "B/2/0").rename(plate.parent / "elsewhere")
    (plate / "B/2/0").symlink_to(plate.parent / "elsewhere")
    with pytest.raises(PermissionRefused):
        expand(ImageRef(str(plate)), access=AccessPolicy(roots=(str(plate),)))


@pytest.mark.parametrize("ngff", [{"plate": {}}, {"plate": {"wells": []}}, {"well": {"images": []}}])
def test_a_plate_without_images(tmp_path: Path, access: AccessPolicy, ngff: dict[str, Any]) -> None:
    set_attributes(tmp_path / "plate", "0.5", ngff)
    with pytest.raises(InvalidInput, match=r"no images|lists no wells"):
        expand(ImageRef(str(tmp_path / "plate")), access=access)


@pytest.mark.parametrize("listed", [True, False])
def test_a_bioformats2raw_file_means_its_series(
    make_image: Make, tmp_path: Path, volume: np.ndarray, access: AccessPolicy, listed: bool
) -> None:
    path = tmp_path / "file.zarr"
    set_attributes(path, "0.4", {"bioformats2raw.layout": 3})
    for series in ("0", "1"):
        make_image(path / series, volume, version="0.4")
    if listed:
        set_attributes(path / "OME", "0.4", {"series": ["1", "0"]})
    refs = expand(ImageRef(str(path)), access=access)
    assert [r.uri for r in refs] == [f"{path}/{s}" for s in (("1", "0") if listed else ("0", "1"))]
