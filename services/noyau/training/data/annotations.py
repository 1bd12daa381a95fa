"""Points and boxes from CSV and GeoJSON files beside an image, in voxels of the image."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from noyau.domain.errors import DamagedData, InvalidInput, LimitExceeded

SUFFIXES = (".csv", ".geojson")
_LARGEST_BYTES = 256 * 2**20
# Lower-case column names of one axis after another; napari writes axis-0, axis-1, ...
_POINT_COLUMNS = (
    ("z", "y", "x"),
    ("axis-0", "axis-1", "axis-2"),
    ("centroid_z", "centroid_y", "centroid_x"),
)
_BOX_COLUMNS = (("z0", "y0", "x0", "z1", "y1", "x1"), ("zmin", "ymin", "xmin", "zmax", "ymax", "xmax"))


def read_annotations(path: str, ndim: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    """(points, boxes) of a file, one of them None. See `Sample` for their shapes and units.

    Args:
        path: `.csv` with columns z, y, x (or axis-0, ...) for points, z0, y0, x0, z1, y1, x1 for boxes; `.geojson`
            with Point features or rectangles (2D).
        ndim: 2 or 3.

    Raises:
        DamagedData: the file cannot be decoded.
        InvalidInput: neither points nor boxes, a mixture, or values that are no finite numbers.
        LimitExceeded: an unreasonably large file.
    """
    file = Path(path)
    if file.stat().st_size > _LARGEST_BYTES:
        raise LimitExceeded(f"'{path}' is larger than {_LARGEST_BYTES // 2**20} MiB.")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedData(f"'{path}' cannot be read: {error}.") from error
    return _from_csv(text, path, ndim) if file.suffix.lower() == ".csv" else _from_geojson(text, path, ndim)


def _from_csv(text: str, path: str, ndim: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    try:
        rows = list(csv.DictReader(text.splitlines()))
    except csv.Error as error:
        raise DamagedData(f"'{path}' cannot be read as CSV: {error}.") from error
    names = {str(name).strip().lower(): str(name) for name in (rows[0] if rows else {})}
    for columns, is_box in [*((c, True) for c in _BOX_COLUMNS), *((c, False) for c in _POINT_COLUMNS)]:
        wanted = _of_dimension(columns, ndim, is_box)
        if all(name in names for name in wanted):
            table = np.array([[_number(row[names[n]], path) for n in wanted] for row in rows])
            return (None, table) if is_box else (table, None)
    raise InvalidInput(
        f"'{path}' has no columns of points or boxes; it has {', '.join(names) or 'no rows'}.",
        f"Name them {', '.join('zyx'[3 - ndim :])} for points, or z0, y0, x0, z1, y1, x1 (without z in 2D) for boxes.",
    )


def _of_dimension(columns: Sequence[str], ndim: int, is_box: bool) -> list[str]:
    """The columns of a plane, where there is no z; numbered axes count from the first."""
    if ndim == 3:
        return list(columns)
    if columns[0] == "axis-0":
        return list(columns[:2])
    return [*columns[1:3], *columns[4:6]] if is_box else list(columns[1:3])


def _from_geojson(text: str, path: str, ndim: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    if ndim != 2:
        raise InvalidInput(f"'{path}' is GeoJSON, which has no z.", "Give points or boxes of a volume as CSV.")
    try:
        shapes = [feature["geometry"] for feature in _features(json.loads(text))]
        points = [_point(s, path) for s in shapes if s["type"] == "Point"]
        boxes = [_rectangle(s, path) for s in shapes if s["type"] != "Point"]
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise DamagedData(f"'{path}' cannot be read as GeoJSON: {error!r}.") from error
    if bool(points) == bool(boxes):
        what = "points as well as boxes" if points else "neither points nor boxes"
        raise InvalidInput(f"'{path}' holds {what}.", "Give one kind per image.")
    return (np.array(points), None) if points else (None, np.array(boxes))


def _features(document: Any) -> Sequence[Mapping[str, Any]]:
    """Of a FeatureCollection, a list of features or one feature."""
    if isinstance(document, dict) and document.get("type") == "FeatureCollection":
        return list(document["features"])
    return list(document) if isinstance(document, list) else [document]


def _point(shape: Mapping[str, Any], path: str) -> list[float]:
    """y, x; GeoJSON writes x first. The middle of pixel 0 is at 0.5 there, at 0 here."""
    x, y = shape["coordinates"][:2]
    return [_number(y, path) - 0.5, _number(x, path) - 0.5]


def _rectangle(shape: Mapping[str, Any], path: str) -> list[float]:
    """y0, x0, y1, x1 of a polygon whose corners are those of its bounding box."""
    if shape["type"] != "Polygon":
        raise InvalidInput(f"'{path}' holds a {shape['type']}, which is neither a point nor a box.")
    ring = np.array([[_number(y, path), _number(x, path)] for x, y, *_ in shape["coordinates"][0]])
    low, high = ring.min(0), ring.max(0)
    if not (np.isclose(ring, low) | np.isclose(ring, high)).all():
        raise InvalidInput(
            f"'{path}' holds an outline that is no rectangle.", "Draw outlines as labels: export them as a label image."
        )
    return [*low.tolist(), *high.tolist()]


def _number(value: Any, path: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InvalidInput(f"'{path}' holds {value!r} where a coordinate should be.")
    return number
