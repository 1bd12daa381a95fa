"""However the pixels are stored, the nuclei are the same: axis orders, channels, time, levels, shards, plates."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
from product_kit import VOXEL, Service, label_array, leftovers

Make = Callable[..., Path]
SIZE = dict(zip("tczyx", (1.0, 1.0, *VOXEL), strict=True))


def segment(service: Service, *arguments: str) -> dict[str, object]:
    """Runs `noyau segment` and returns the result from its JSON."""
    told = service.cli("segment", *arguments, "--quiet", "--json")
    assert told.code == 0, told.err
    result: dict[str, object] = json.loads(told.out)["job"]["result"]
    return result


@pytest.fixture(scope="session")
def crop(embryo: np.ndarray) -> np.ndarray:
    """uint16 (16, 64, 64)."""
    return np.ascontiguousarray(embryo[:, 16:80, 16:80])


@pytest.fixture
def plain(service: Service, place: Path, crop: np.ndarray, make_image: Make) -> np.ndarray:
    """Labels of the crop stored in the most ordinary way."""
    image = make_image(place / "plain.ome.zarr", crop, scale=VOXEL)
    segment(service, str(image))
    labels = label_array(image)
    assert labels.max() > 3
    return labels


def test_axis_orders_channels_and_shards(
    service: Service, place: Path, crop: np.ndarray, make_image: Make, plain: np.ndarray
) -> None:
    noise = np.random.default_rng(0).integers(0, 500, crop.shape, np.uint16)
    full = np.stack([noise, crop])[None]  # t, c, z, y, x with the nuclei in the second channel
    cases = {
        "czyx-0.4": ("czyx", full[0], {"version": "0.4"}),
        "tczyx": ("tczyx", full, {}),
        "xyzc": ("xyzc", full[0].transpose(3, 2, 1, 0), {}),
        "sharded": ("zcyx", full[0].transpose(1, 0, 2, 3), {"chunks": (4, 1, 32, 32), "shards": (8, 2, 64, 64)}),
    }
    images = [
        make_image(
            place / f"{name}.ome.zarr",
            np.ascontiguousarray(pixels),
            axes,
            scale=[SIZE[a] for a in axes],
            channels=("membrane", "DAPI"),
            **options,
        )
        for name, (axes, pixels, options) in cases.items()
    ]
    result = segment(service, *map(str, images), "--channel", "dapi")
    assert len(result["images"]) == len(cases)  # type: ignore[arg-type]
    for image, (axes, _, _) in zip(images, cases.values(), strict=True):
        kept = axes.replace("c", "")
        labels = label_array(image)
        volume = labels[0] if kept.startswith("t") else labels
        np.testing.assert_array_equal(volume.transpose([kept.strip("t").index(a) for a in "zyx"]), plain)
        columns = (image / "noyau" / "nuclei" / "nuclei.csv").read_text().splitlines()[0]
        assert "membrane" in columns and "DAPI" in columns
    assert leftovers(place) == []


def test_time_points_share_one_numbering(
    service: Service, place: Path, crop: np.ndarray, make_image: Make, plain: np.ndarray
) -> None:
    movie = np.stack([crop, np.zeros_like(crop), crop])
    image = make_image(place / "movie.ome.zarr", movie, "tzyx", scale=(1.0, *VOXEL))
    result = segment(service, str(image))
    labels, count = label_array(image), int(plain.max())
    assert result["nuclei"] == 2 * count
    np.testing.assert_array_equal(labels[0], plain)
    assert not labels[1].any()
    np.testing.assert_array_equal(labels[2], np.where(plain > 0, plain + count, 0))
    rows = list(csv.DictReader((image / "noyau" / "nuclei" / "nuclei.csv").read_text().splitlines()))
    assert [row["time"] for row in rows] == ["0"] * count + ["2"] * count
    segment(service, str(image), "--time", "2", "--labels", "last")
    np.testing.assert_array_equal(label_array(image, "last")[2], plain)
    assert not label_array(image, "last")[:2].any()


def test_a_coarse_level(service: Service, place: Path, embryo: np.ndarray, make_image: Make) -> None:
    coarse = np.ascontiguousarray(embryo[::2, ::2, ::2])
    image = make_image(place / "levels.ome.zarr", [embryo, coarse], scale=VOXEL)
    alone = make_image(place / "alone.ome.zarr", coarse, scale=(3.5, 1.6, 1.6))
    segment(service, str(image), "--level", "1")
    segment(service, str(alone))
    np.testing.assert_array_equal(label_array(image), label_array(alone))
    group = zarr.open_group(image / "labels" / "nuclei", mode="r")
    scale = group.attrs["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
    assert scale == [3.5, 1.6, 1.6]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_plate_is_one_job(
    service: Service, place: Path, crop: np.ndarray, make_image: Make, plain: np.ndarray, version: str
) -> None:
    plate = make_plate(place / "plate.ome.zarr", crop, make_image, version)
    result = segment(service, str(plate))
    fields = ("A/1/0", "A/1/1", "B/2/0")
    assert [image["uri"] for image in result["images"]] == [str(plate / f) for f in fields]  # type: ignore[attr-defined]
    assert result["nuclei"] == 3 * int(plain.max())
    for path in fields:
        np.testing.assert_array_equal(label_array(plate / path), plain)
    output = place / "elsewhere"
    segment(service, str(plate / "A" / "1"), "--output", str(output))
    found = sorted(output.rglob("labels/nuclei/0"))
    assert len(found) == 2
    for array in found:
        np.testing.assert_array_equal(label_array(array.parents[2]), plain)
    assert leftovers(place) == []


def make_plate(path: Path, pixels: np.ndarray, make_image: Make, version: str) -> Path:
    """Two wells with three fields, as NGFF says."""
    wells = {"A/1": ("0", "1"), "B/2": ("0",)}
    root = zarr.create_group(path, zarr_format=3 if version == "0.5" else 2)

    def describe(group: zarr.Group, key: str, values: dict[str, object]) -> None:
        group.attrs.update({"ome": {"version": version, key: values}} if version == "0.5" else {key: values})

    described = [{"path": w, "rowIndex": i, "columnIndex": i} for i, w in enumerate(wells)]
    describe(
        root,
        "plate",
        {"rows": [{"name": "A"}, {"name": "B"}], "columns": [{"name": "1"}, {"name": "2"}], "wells": described},
    )
    first = make_image(path.parent / "field", pixels, version=version, scale=VOXEL)
    for well, fields in wells.items():
        describe(root.create_group(well), "well", {"images": [{"path": f} for f in fields]})
        for field in fields:
            shutil.copytree(first, path / well / field)
    shutil.rmtree(first)
    return path
