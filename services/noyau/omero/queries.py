"""Questions to OMERO's query service: HQL texts with typed parameters, answers as plain Python values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from noyau.omero.bindings import omero_library
from noyau.omero.line import Line

IDS_AT_ONCE = 500
"""A server refuses very long lists (33,000 ids), and an empty one."""


def parameters(**values: int | str | Sequence[int] | Sequence[str]) -> Any:
    """Named parameters with the types that columns want: integers are longs, texts strings."""
    omero = omero_library()
    found = omero.sys.ParametersI()
    for name, value in values.items():
        found.map[name] = _typed(omero.rtypes, value)
    return found


def rows(line: Line, hql: str, *, everywhere: bool = False, **values: Any) -> list[tuple[Any, ...]]:
    """Rows of a projection.

    Args:
        line: the connection.
        hql: `select ... from ...` of single columns.
        everywhere: look in all groups of the user, not only in the session's.
        values: named parameters.
    """
    unwrap = omero_library().rtypes.unwrap
    context = line.everywhere() if everywhere else None
    answer = line.query.projection(hql, parameters(**values), context)
    return [tuple(unwrap(value) for value in row) for row in answer]


def ids(line: Line, hql: str, *, everywhere: bool = False, **values: Any) -> list[int]:
    """The first column of a projection as integers, without repetition, in order."""
    return list(dict.fromkeys(int(row[0]) for row in rows(line, hql, everywhere=everywhere, **values)))


def batches(values: Iterable[int], size: int = IDS_AT_ONCE) -> Iterator[list[int]]:
    """Parts of a list that is too long for one question; none for an empty list."""
    found = list(values)
    for start in range(0, len(found), size):
        yield found[start : start + size]


def _typed(rtypes: Any, value: Any) -> Any:
    if isinstance(value, bool):
        return rtypes.rbool(value)
    if isinstance(value, int):
        return rtypes.rlong(int(value))
    if isinstance(value, str):
        return rtypes.rstring(value)
    return rtypes.rlist([_typed(rtypes, item) for item in value])
