"""ROIs -> a label volume, so that what people corrected or drew in OMERO can be learned from.

Each Roi is one object: its shapes in several planes belong together, as iviewer and other programs save objects of a
volume. Masks come back exactly; of everything else a pixel counts when its centre lies inside. Where ROIs overlap, the
one that was saved later wins, since corrections are drawn over what was there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from noyau.domain.geometry import Index3
from noyau.domain.omero_uri import OmeroUri
from noyau.omero import queries, shapes
from noyau.omero.line import Line
from noyau.omero.masks import unpack
from noyau.omero.runs import is_reference, run_of
from noyau.omero.session import Session
from noyau.omero.shapes import Patch, Transform

ROIS_AT_ONCE = 200
_NAMED = re.compile(r"nucleus ([1-9][0-9]{0,9})")


@dataclass(frozen=True)
class Truth:
    """Labels that were drawn.

    Attributes:
        labels: uint32 z/y/x; ROIs that Noyau made keep their numbers, others get the numbers after them.
        ignored: how many shapes are no areas or points (lines, arrows, texts) or lie outside the image.
        rois: ids of the ROIs by their numbers in the labels, whether they are at this time point or not.
    """

    labels: np.ndarray
    ignored: int
    rois: Mapping[int, int]


def read_truth(
    session: Session, image: OmeroUri, shape: Index3, time: int = 0, *, points: bool = True, name: str | None = None
) -> Truth:
    """Draws the ROIs of an image.

    Args:
        session: in the image's group.
        image: the image.
        shape: z/y/x of the image.
        time: time point; ROIs without one belong to all.
        points: also draw points, as objects of one voxel.
        name: of Noyau's results whose ROIs are meant; where there are some, those of other names are left out. What
            people drew themselves is always in.
    """
    hql = "select r.id, r.name, r.description from Roi r where r.image.id = :id order by r.id"
    what = f"reading the ROIs of {image.title}"
    known = session.call(lambda line: queries.rows(line, hql, id=image.id), what)
    numbers = number_rois(of_name([(int(roi), title, text) for roi, title, text in known], name))
    volume = np.zeros(shape, np.uint32)
    ignored = 0
    for part in queries.batches(numbers, ROIS_AT_ONCE):
        for roi in session.call(partial(_load, ids=part), what):
            ignored += _draw(volume, roi, numbers[int(roi.getId().getValue())], time, points)
    return Truth(volume, ignored, {label: roi for roi, label in numbers.items()})


def of_name(rois: list[tuple[int, str | None, str | None]], name: str | None) -> list[tuple[int, str | None]]:
    """Ids and names of the ROIs that are meant, from ids, names and descriptions; see `read_truth`."""
    drawn = [one for one in rois if not is_reference(one[2])]
    runs = {roi: run_of(text) for roi, _, text in drawn}
    there = any(run is not None and run.name == name for run in runs.values())

    def is_meant(roi: int) -> bool:
        run = runs[roi]
        return run is None or not there or run.name == name

    return [(roi, title) for roi, title, _ in drawn if is_meant(roi)]


def number_rois(rois: list[tuple[int, str | None]]) -> dict[int, int]:
    """The label of each ROI by its id: the number in a name of ours, the first time it comes; else a number after them.

    Args:
        rois: ids and names, in the order in which they are drawn.
    """
    wanted: dict[int, int] = {}
    taken: set[int] = set()
    for roi, name in rois:
        match = _NAMED.fullmatch(name or "")
        number = int(match[1]) if match else 0
        if 0 < number < 2**32 and number not in taken:
            wanted[roi] = number
            taken.add(number)
    following = max(taken, default=0)
    for roi, _ in rois:
        if roi not in wanted:
            following += 1
            wanted[roi] = following
    return {roi: wanted[roi] for roi, _ in rois}


def _load(line: Line, ids: list[int]) -> list[Any]:
    hql = "select distinct r from Roi r left outer join fetch r.shapes where r.id in (:ids) order by r.id"
    return list(line.query.findAllByQuery(hql, queries.parameters(ids=ids)))


def _draw(volume: np.ndarray, roi: Any, label: int, time: int, points: bool) -> int:
    """Draws one ROI; returns how many of its shapes are left out."""
    ignored = 0
    for shape in roi.copyShapes():
        if _value(shape.getTheT(), time) != time:
            continue
        wanted = points or _kind(shape) != "Point"
        patch = _patch(shape, volume.shape[1], volume.shape[2]) if wanted else None
        planes = _planes(shape, volume.shape[0])
        if patch is None or not planes:
            ignored += 1
            continue
        height, width = patch.pixels.shape
        for z in planes:
            volume[z, patch.y : patch.y + height, patch.x : patch.x + width][patch.pixels] = label
    return ignored


def _planes(shape: Any, depth: int) -> list[int]:
    """The planes of a shape; one without a plane belongs to every one."""
    z = _value(shape.getTheZ(), None)
    if z is None:
        return list(range(depth))
    return [z] if 0 <= z < depth else []


def _patch(shape: Any, height: int, width: int) -> Patch | None:
    kind = _kind(shape)
    transform = _transform(shape.getTransform())
    if kind == "Mask" and transform.is_identity:
        return _mask_patch(shape, height, width)
    if kind == "Polygon":
        return shapes.polygon_patch(_value(shape.getPoints(), ""), transform, height, width)
    if kind == "Rectangle":
        x, y, w, h = _numbers(shape.getX(), shape.getY(), shape.getWidth(), shape.getHeight())
        return shapes.rectangle_patch(x, y, w, h, transform, height, width)
    if kind == "Ellipse":
        x, y, w, h = _numbers(shape.getX(), shape.getY(), shape.getRadiusX(), shape.getRadiusY())
        return shapes.ellipse_patch(x, y, w, h, transform, height, width)
    if kind == "Point":
        x, y = _numbers(shape.getX(), shape.getY())
        return shapes.point_patch(x, y, transform, height, width)
    return None


def _kind(shape: Any) -> str:
    return str(shape.ice_id().rpartition("::")[2])


def _mask_patch(shape: Any, height: int, width: int) -> Patch | None:
    """The part of a mask that lies in the image."""
    x, y, w, h = map(round, _numbers(shape.getX(), shape.getY(), shape.getWidth(), shape.getHeight()))
    y0, x0, y1, x1 = max(0, y), max(0, x), min(height, y + h), min(width, x + w)
    if y0 >= y1 or x0 >= x1:
        return None
    return Patch(y0, x0, unpack(bytes(shape.getBytes()), h, w)[y0 - y : y1 - y, x0 - x : x1 - x])


def _transform(found: Any) -> Transform:
    if found is None:
        return Transform()
    cells = (getattr(found, f"getA{name}")() for name in ("00", "10", "01", "11", "02", "12"))
    return Transform(*(float(cell.getValue()) for cell in cells))


def _numbers(*wrapped: Any) -> list[float]:
    return [float(_value(one, 0.0)) for one in wrapped]


def _value(wrapped: Any, default: Any) -> Any:
    return default if wrapped is None else wrapped.getValue()
