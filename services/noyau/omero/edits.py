"""Which of Noyau's ROIs a person has worked on since: they are that person's by then, and are not taken away.

OMERO notes with every object in which save it was made and in which it was changed last. Noyau saves a ROI with all its
shapes at once and never again, so another save in any of them is somebody's correction. A shape that was taken out
leaves no such trace; it shows in the number of shapes, which the ROI's description tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from noyau.omero import queries
from noyau.omero.line import Line

_ROIS = (
    "select r.id, r.description, r.details.creationEvent.id, r.details.updateEvent.id from Roi r "
    "where r.id in (:ids) order by r.id"
)
_SHAPES = (
    "select s.id, s.roi.id, s.details.creationEvent.id, s.details.updateEvent.id from Shape s "
    "where s.roi.id in (:ids) order by s.id"
)
_COUNTED = re.compile(r" shapes ([0-9]+)$")


def with_count(description: str, shapes: int) -> str:
    """The description of a ROI, with the number of shapes that it was saved with."""
    return f"{description} shapes {shapes}"


def edited_rois(line: Line, rois: Iterable[int]) -> tuple[int, ...]:
    """Ids of those ROIs that somebody changed since they were saved: moved, redrawn, renamed, a shape more or less.

    Args:
        line: the connection.
        rois: ids of ROIs that Noyau made.
    """
    found: list[int] = []
    for part in queries.batches(rois):
        shapes: dict[int, list[tuple[int, int]]] = {}
        for _, roi, made, changed in queries.rows(line, _SHAPES, ids=part):
            shapes.setdefault(int(roi), []).append((int(made), int(changed)))
        found += _changed(queries.rows(line, _ROIS, ids=part), shapes)
    return tuple(found)


def _changed(rois: Iterable[tuple[int, str, int, int]], shapes: Mapping[int, list[tuple[int, int]]]) -> list[int]:
    """The ROIs of which anything was saved in another event than all of it at first."""
    found = []
    for roi, description, made, changed in rois:
        events = {int(changed), *(event for pair in shapes.get(int(roi), []) for event in pair)}
        counted = _COUNTED.search(description or "")
        whole = counted is None or int(counted[1]) == len(shapes.get(int(roi), []))
        if events != {int(made)} or not whole:
            found.append(int(roi))
    return found
