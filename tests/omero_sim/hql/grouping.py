"""Groups of rows: aggregates, distinct rows, and the order of values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omero_sim.hql.tree import AGGREGATES, Binary, Call, Expression, Query
from omero_sim.records import Quantity, Record

if TYPE_CHECKING:
    from omero_sim.hql.compute import Computer
    from omero_sim.hql.evaluate import Row


def rows(query: Query, bindings: list[Row], computer: Computer) -> list[tuple[Any, ...]]:
    """One row of results for each group, or one for all where there is no `group by`."""
    groups: dict[Any, list[Row]] = {}
    for row in bindings:
        groups.setdefault(tuple(_key(computer.value(g, row)) for g in query.grouping), []).append(row)
    if not query.grouping and not groups:
        groups[()] = []
    members = list(groups.values())
    if query.having is not None:
        having = query.having
        members = [m for m in members if computer.value(having, m[0]) is True]
    for order in reversed(query.orders):
        members.sort(key=lambda m, e=order.expression: sort_key(aggregate(e, m, computer)))  # type: ignore[misc]
        if order.descending:
            members.reverse()
    return [tuple(aggregate(s.expression, m, computer) for s in query.columns()) for m in members]


def aggregate(expression: Expression, group: list[Row], computer: Computer) -> Any:
    """Value of an expression for a group."""
    if isinstance(expression, Binary):
        left, right = aggregate(expression.left, group, computer), aggregate(expression.right, group, computer)
        return computer.value(Binary(expression.operator, _constant(left), _constant(right)), {})
    if not isinstance(expression, Call) or expression.name not in AGGREGATES:
        return computer.value(expression, group[0]) if group else None
    if not expression.arguments:
        return len(group)
    values = [v for v in (computer.value(expression.arguments[0], row) for row in group) if v is not None]
    if expression.distinct:
        values = list({_key(v): v for v in values}.values())
    if expression.name == "count":
        return len(values)
    if not values:
        return None
    if expression.name == "avg":
        return float(sum(values)) / len(values)
    return {"max": max, "min": min, "sum": sum}[expression.name](values)


def unique(bindings: list[Row], found: list[tuple[Any, ...]]) -> tuple[list[Row], list[tuple[Any, ...]]]:
    """The rows without repetitions, the first of each."""
    first: dict[Any, int] = {}
    for number, row in enumerate(found):
        first.setdefault(tuple(map(_key, row)), number)
    return [bindings[n] for n in first.values()], [found[n] for n in first.values()]


def sort_key(value: Any) -> tuple[bool, Any]:
    """Where a value stands among others; PostgreSQL puts null last."""
    if isinstance(value, Record):
        value = value.id
    if isinstance(value, Quantity):
        value = value.value
    return value is None, 0 if value is None else value


def _key(value: Any) -> Any:
    return tuple(map(_key, value)) if isinstance(value, list) else value


def _constant(value: Any) -> Expression:
    from omero_sim.hql.tree import Literal

    return Literal(value)
