"""Bad and odd images: refused with one clear sentence and without a trace, or segmented like any other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_input import Case, check_message, check_refused
from product_kit import VOXEL, Service, cli, label_array, leftovers, listing

Make = Callable[..., Path]
Damage = Callable[[Path, Make, np.ndarray], None]


def chunk_files(image: Path) -> list[Path]:
    return sorted(p for p in (image / "0" / "c").rglob("*") if p.is_file())


def no_chunk(path: Path, make: Make, pixels: np.ndarray) -> None:
    make(path, pixels, scale=VOXEL, chunks=(8, 24, 24))
    chunk_files(path)[3].unlink()


def damaged_chunk(path: Path, make: Make, pixels: np.ndarray) -> None:
    make(path, pixels, scale=VOXEL, chunks=(8, 24, 24))
    chunk = chunk_files(path)[3]
    chunk.write_bytes(chunk.read_bytes()[:40] + b"\0" * 40)


def truncated_shard(path: Path, make: Make, pixels: np.ndarray) -> None:
    make(path, pixels, scale=VOXEL, chunks=(8, 24, 24), shards=(16, 48, 48))
    shard = chunk_files(path)[0]
    shard.write_bytes(shard.read_bytes()[:-7])


def broken_metadata(path: Path, make: Make, pixels: np.ndarray) -> None:
    make(path, pixels, scale=VOXEL)
    (path / "zarr.json").write_text('{"zarr_format": 3, ')


def edited(change: Callable[[dict[str, Any]], object]) -> Damage:
    """An image whose group metadata were edited."""

    def make_it(path: Path, make: Make, pixels: np.ndarray) -> None:
        make(path, pixels, scale=VOXEL)
        document = json.loads((path / "zarr.json").read_text())
        change(document["attributes"])
        (path / "zarr.json").write_text(json.dumps(document))

    return make_it


def axes(names: list[str]) -> Damage:
    return edited(lambda a: a["ome"]["multiscales"][0].update(axes=[{"name": name, "type": "space"} for name in names]))


def not_finite(value: float) -> Damage:
    def make_it(path: Path, make: Make, pixels: np.ndarray) -> None:
        wrong = pixels.astype(np.float32)
        wrong[3, 7, 11] = value
        make(path, wrong, scale=VOXEL)

    return make_it


def complex_pixels(path: Path, make: Make, pixels: np.ndarray) -> None:
    make(path, pixels.astype(np.complex64), scale=VOXEL)


def without_scale(a: dict[str, Any]) -> None:
    for level in a["ome"]["multiscales"][0]["datasets"]:
        del level["coordinateTransformations"]


def without_voxels(path: Path, make: Make, pixels: np.ndarray) -> None:
    edited(lambda a: None)(path, make, pixels)
    array = path / "0" / "zarr.json"
    array.write_text(array.read_text().replace('"shape": [\n    16', '"shape": [\n    0', 1))


def too_large(path: Path, make: Make, pixels: np.ndarray) -> None:
    edited(lambda a: None)(path, make, pixels)
    document = json.loads((path / "0" / "zarr.json").read_text())
    document["shape"] = [2000, 20000, 20000]
    (path / "0" / "zarr.json").write_text(json.dumps(document))


BAD: dict[str, tuple[Damage, int, str]] = {
    "missing-chunk": (no_chunk, 12, "0/c/0/1/1"),
    "damaged-chunk": (damaged_chunk, 12, "damaged"),
    "truncated-shard": (truncated_shard, 12, "damaged"),
    "broken-metadata": (broken_metadata, 12, "zarr.json"),
    "no-image": (edited(lambda a: a["ome"].pop("multiscales")), 3, "multiscales"),
    "unknown-axes": (axes(["q", "y", "x"]), 3, "Axes"),
    "axes-twice": (axes(["y", "y", "x"]), 3, "Axes"),
    "axes-without-x": (axes(["t", "z", "y"]), 3, "Axes"),
    "too-few-axes": (axes(["y", "x"]), 3, "axes"),
    "no-voxel-size": (edited(without_scale), 11, "--voxel-size"),
    "level-absent": (edited(lambda a: a["ome"]["multiscales"][0]["datasets"][0].update(path="7")), 4, "7"),
    "level-climbs": (edited(lambda a: a["ome"]["multiscales"][0]["datasets"][0].update(path="../../x")), 3, "x"),
    "nan": (not_finite(np.nan), 3, "3, 7, 11"),
    "infinity": (not_finite(np.inf), 3, "3, 7, 11"),
    "complex": (complex_pixels, 3, "complex64"),
    "empty": (without_voxels, 3, "is empty"),
    "over-the-limit": (too_large, 8, "more than the limit"),
}


def test_a_tile_whose_halo_exceeds_the_limit(
    service: Service, place: Path, make_image: Make, embryo: np.ndarray
) -> None:
    image = place / "wide.ome.zarr"
    edited(lambda a: None)(image, make_image, embryo)
    document = json.loads((image / "0" / "zarr.json").read_text())
    document["shape"] = [1000, 200, 200]
    (image / "0" / "zarr.json").write_text(json.dumps(document))
    case = Case("halo", lambda place, good: [], 8, "halo")
    check_refused(service, place, ["segment", str(image), "--tile", "190,190,190", "--quiet"], case)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_image_is_refused(name: str, service: Service, place: Path, make_image: Make, embryo: np.ndarray) -> None:
    damage, code, says = BAD[name]
    image = place / "bad.ome.zarr"
    damage(image, make_image, np.ascontiguousarray(embryo[:, :48, :48]))
    case = Case(name, lambda place, good: [], code, says)
    check_refused(service, place, ["segment", str(image), "--quiet"], case)


@pytest.mark.slow
def test_a_private_service_takes_everything_back_before_it_ends(
    tmp_path: Path, make_image: Make, embryo: np.ndarray
) -> None:
    """It ends with its command, so nobody would tidy up later."""
    image = tmp_path / "bad.ome.zarr"
    no_chunk(image, make_image, np.ascontiguousarray(embryo[:, :48, :48]))
    before = listing(tmp_path)
    told = cli("segment", str(image), "--local", "--quiet")
    assert told.code == 12, told
    check_message(told.err, "--fill-missing")
    assert listing(tmp_path) == before


def test_a_bad_image_among_good_ones_is_found_before_anything_is_written(
    service: Service, place: Path, make_image: Make, embryo_image: Path, tiny_image: Path
) -> None:
    bad = place / "bad.ome.zarr"
    axes(["q", "y", "x"])(bad, make_image, np.ones((4, 8, 8), np.uint8))
    case = Case("second", lambda place, good: [], 3, str(bad))
    check_refused(service, place, ["segment", str(tiny_image), str(bad), "--quiet"], case)


def test_missing_chunks_may_count_as_zero(service: Service, place: Path, make_image: Make, embryo: np.ndarray) -> None:
    no_chunk(place / "a.ome.zarr", make_image, np.ascontiguousarray(embryo[:, :48, :48]))
    told = service.cli("segment", str(place / "a.ome.zarr"), "--fill-missing", "--quiet")
    assert told.code == 0, told.err
    assert not label_array(place / "a.ome.zarr")[:8, 36:, 36:].all()


def test_without_voxel_size_the_user_may_give_it(
    service: Service, place: Path, make_image: Make, embryo: np.ndarray, embryo_image: Path
) -> None:
    image = place / "unknown.ome.zarr"
    edited(without_scale)(image, make_image, embryo)
    told = service.cli("segment", str(image), str(embryo_image), "--voxel-size", "1.75,0.8,0.8", "--quiet")
    assert told.code == 0, told.err
    np.testing.assert_array_equal(label_array(image), label_array(embryo_image))
    plane = place / "plane.ome.zarr"
    make_image(plane, embryo[0], "yx", unit=None)
    told = service.cli("segment", str(plane), "--quiet")
    assert told.code == 0 and "1 micrometre per voxel is assumed" in told.err


@pytest.mark.parametrize("dtype", ["uint8", "int8", ">u2", "int32", ">f4", "float64", "bool"])
def test_pixel_types(dtype: str, service: Service, place: Path, make_image: Make, embryo: np.ndarray) -> None:
    """Types that hold the same values give the same nuclei; narrow ones still give nuclei."""
    crop = embryo[:, 16:80, 16:80]
    narrow = np.clip(crop // 4, 0, 255)
    pixels = {"uint8": narrow, "int8": narrow.astype(np.int16) - 128, "bool": crop > np.percentile(crop, 90)}
    made = np.ascontiguousarray(pixels.get(dtype, crop)).astype(dtype)
    image = make_image(place / "a.ome.zarr", made, version="0.4", scale=VOXEL)
    same = make_image(
        place / "b.ome.zarr", np.ascontiguousarray(pixels.get(dtype, crop)).astype(np.float32), scale=VOXEL
    )
    told = service.cli("segment", str(image), str(same), "--quiet")
    assert told.code == 0, told.err
    labels, wanted = label_array(image), label_array(same)
    assert labels.dtype == np.uint32 and wanted.max() > 0
    # Integers are normalised by a table of all values, floats by the formula; both must agree.
    np.testing.assert_array_equal(labels, wanted)


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        ((1, 40, 40), None),
        ((1, 1, 1), 7),
        ((2, 64, 64), None),
        ((16, 1, 64), None),
        ((16, 64, 2), None),
        ((1, 1, 90), None),
        ((8, 32, 32), 0),
        ((8, 32, 32), 65535),
    ],
    ids=str,
)
def test_odd_shapes_and_constant_images(
    shape: tuple[int, int, int], value: int | None, service: Service, place: Path, make_image: Make, embryo: np.ndarray
) -> None:
    """They give labels of their own shape, of whole numbers from 1 without gaps, and a table with one row each."""
    pixels = embryo[tuple(slice(n) for n in shape)] if value is None else np.full(shape, value, np.uint16)
    image = make_image(place / "odd.ome.zarr", np.ascontiguousarray(pixels), scale=VOXEL)
    told = service.cli("segment", str(image), "--quiet")
    assert told.code == 0, told.err
    labels = label_array(image)
    assert labels.shape == shape
    found = np.unique(labels[labels > 0])
    assert found.tolist() == list(range(1, len(found) + 1))
    if value is not None:
        assert len(found) == 0
    rows = (image / "noyau" / "nuclei" / "nuclei.csv").read_text().splitlines()
    assert len(rows) == 1 + len(found)
    assert leftovers(place) == []
