"""Points and boxes from CSV and GeoJSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from noyau.domain.errors import DamagedData, InvalidInput
from noyau.training.data.annotations import read_annotations


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("text", "ndim", "points"),
    [
        ("z,y,x\n1,2,3\n4,5.5,6\n", 3, [[1, 2, 3], [4, 5.5, 6]]),
        ("Y, X\n2,3\n", 2, [[2, 3]]),
        ("index,axis-0,axis-1,axis-2\n0,1,2,3\n", 3, [[1, 2, 3]]),
        ("index,axis-0,axis-1\n0,2,3\n", 2, [[2, 3]]),
        ("\ufefflabel,centroid_y,centroid_x\n1,2,3\n", 2, [[2, 3]]),
    ],
)
def test_points_from_csv(tmp_path: Path, text: str, ndim: int, points: list) -> None:
    found, boxes = read_annotations(write(tmp_path / "a.csv", text), ndim)
    assert boxes is None and found is not None and found.tolist() == points


def test_boxes_from_csv(tmp_path: Path) -> None:
    text = "x0,y0,x1,y1,z0,z1\n1,2,3,4,5,6\n"
    for ndim, expected in ((2, [[2, 1, 4, 3]]), (3, [[5, 2, 1, 6, 4, 3]])):
        points, boxes = read_annotations(write(tmp_path / "a.csv", text), ndim)
        assert points is None and boxes is not None and boxes.tolist() == expected


def feature(kind: str, coordinates: list) -> dict:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}}


def test_geojson(tmp_path: Path) -> None:
    collection = {"type": "FeatureCollection", "features": [feature("Point", [3.5, 2.5])]}
    points, _ = read_annotations(write(tmp_path / "a.geojson", json.dumps(collection)), 2)
    assert points is not None and points.tolist() == [[2, 3]]
    ring = [[1, 2], [5, 2], [5, 9], [1, 9], [1, 2]]
    _, boxes = read_annotations(write(tmp_path / "b.geojson", json.dumps([feature("Polygon", [ring])])), 2)
    assert boxes is not None and boxes.tolist() == [[2, 1, 9, 5]]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "a,b\n1,2\n", "no columns"),
        ("a.csv", "", "no rows"),
        ("a.csv", "y,x\n1,two\n", "'two'"),
        ("a.csv", "y,x\n1,inf\n", "'inf'"),
        ("a.csv", "y,x\n1\n", "None"),
        ("a.geojson", "{", "cannot be read as GeoJSON"),
        ("a.geojson", "[" * 100_000, "cannot be read as GeoJSON"),
        ("a.geojson", '[{"geometry": null}]', "cannot be read as GeoJSON"),
        ("a.geojson", "[]", "neither points nor boxes"),
        ("a.geojson", json.dumps([feature("Polygon", [[[0, 0], [4, 1], [2, 5], [0, 0]]])]), "no rectangle"),
        ("a.geojson", json.dumps([feature("LineString", [[0, 0], [4, 1]])]), "LineString"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    with pytest.raises((DamagedData, InvalidInput), match=words) as caught:
        read_annotations(write(tmp_path / name, text), 2)
    assert name in caught.value.cause


def test_other_bad_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"y,x\n\xff\xfe,2\n")
    with pytest.raises(DamagedData, match="cannot be read"):
        read_annotations(str(tmp_path / "a.csv"), 2)
    with pytest.raises(InvalidInput, match="no z"):
        read_annotations(write(tmp_path / "a.geojson", "[]"), 3)
    with pytest.raises(InvalidInput, match="as well as"):
        both = [feature("Point", [1, 1]), feature("Polygon", [[[0, 0], [1, 0], [1, 1], [0, 1]]])]
        read_annotations(write(tmp_path / "a.geojson", json.dumps(both)), 2)
