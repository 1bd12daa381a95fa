"""OMERO.tables: a row per object, linked to its ROI, and a row per image, as OMERO.parade reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from noyau.omero.bindings import omero_library
from noyau.omero.line import Line

MOST_COLUMNS = 512
ROWS_AT_ONCE = 5_000
_REFERENCES = ("Image", "Roi", "Well", "Dataset", "Plate")
"""Columns of ids that OMERO.web and OMERO.parade turn into links."""


def write_table(line: Line, name: str, columns: Mapping[str, np.ndarray]) -> int | None:
    """Makes a table and fills it; returns the id of its file, None where the server has no tables service.

    It must be called in a session whose own group is that of the data: a table ignores the group of a call.

    Args:
        line: the connection.
        name: of the file.
        columns: equally long; `Image`, `Roi`, `Well`, `Dataset` and `Plate` hold ids. Columns beyond the 512 that a
            table may have are left out.
    """
    resources = line.factory.sharedResources()
    if not resources.areTablesEnabled():
        return None
    repository = resources.repositories().descriptions[0].getId().getValue()
    table = resources.newTable(repository, name)
    if table is None:
        return None
    chosen = dict(list(columns.items())[:MOST_COLUMNS])
    rows = len(next(iter(chosen.values()), ()))
    try:
        table.initialize([_column(key, values, slice(0, 0)) for key, values in chosen.items()])
        for start in range(0, rows, ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            table.addData([_column(key, values, part) for key, values in chosen.items()])
        return int(table.getOriginalFile().getId().getValue())
    finally:
        table.close()


def _column(name: str, values: np.ndarray, rows: slice) -> Any:
    """A column with some of its rows; the width of texts is that of the longest of all rows."""
    grid = omero_library().grid
    part = values[rows]
    if name in _REFERENCES:
        return getattr(grid, f"{name}Column")(name, "", [int(value) for value in part])
    if values.dtype.kind == "b":
        return grid.BoolColumn(name, "", [bool(value) for value in part])
    if values.dtype.kind in "iu":
        return grid.LongColumn(name, "", [int(value) for value in part])
    if values.dtype.kind == "f":
        return grid.DoubleColumn(name, "", [float(value) for value in part])
    texts = [str(value) for value in part]
    return grid.StringColumn(name, "", text_width(values.tolist()), texts)


def text_width(texts: Sequence[object]) -> int:
    """Bytes that a column needs for its longest text; its width cannot change later."""
    return max(1, max((len(str(text).encode()) for text in texts), default=1))
