"""Groups of rows: aggregates, distinct rows, and the order of values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from omero_sim.hql.tree import AGGREGATES, Binary, Call, Compare, Expression, Literal, Logic, Not, Order, Query
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
        members = [m for m in members if aggregate(having, m, computer) is True]
    sort(members, query.orders, lambda expression, member: aggregate(expression, member, computer))
    return [tuple(aggregate(s.expression, m, computer) for s in query.columns()) for m in members]


def aggregate(expression: Expression, group: list[Row], computer: Computer) -> Any:
    """Value of an expression for a group: the aggregates over all its rows, the rest from its first."""
    resolved = _resolved(expression, group, computer)
    if not group and not isinstance(resolved, Literal | Binary | Compare):
        return None
    return computer.value(resolved, group[0] if group else {})


def _resolved(expression: Expression, group: list[Row], computer: Computer) -> Expression:
    """The expression with the value of every aggregate in its place."""
    if isinstance(expression, Binary | Compare | Logic):
        left, right = (_resolved(side, group, computer) for side in (expression.left, expression.right))
        return replace(expression, left=left, right=right)
    if isinstance(expression, Not):
        return Not(_resolved(expression.inner, group, computer))
    if isinstance(expression, Call) and expression.name in AGGREGATES:
        return Literal(_over(expression, group, computer))
    return expression


def _over(call: Call, group: list[Row], computer: Computer) -> Any:
    if not call.arguments:
        return len(group)
    values = [v for v in (computer.value(call.arguments[0], row) for row in group) if v is not None]
    if call.distinct:
        values = list({_key(v): v for v in values}.values())
    if call.name == "count":
        return len(values)
    if not values:
        return None
    if call.name == "avg":
        return float(sum(values)) / len(values)
    return {"max": max, "min": min, "sum": sum}[call.name](values)


def unique(bindings: list[Row], found: list[tuple[Any, ...]]) -> tuple[list[Row], list[tuple[Any, ...]]]:
    """The rows without repetitions, the first of each."""
    first: dict[Any, int] = {}
    for number, row in enumerate(found):
        first.setdefault(tuple(map(_key, row)), number)
    return [bindings[n] for n in first.values()], [found[n] for n in first.values()]


def sort(items: list[Any], orders: tuple[Order, ...], value: Callable[[Expression, Any], Any]) -> None:
    """Sorts in place by several keys, the first of which matters most; `value` gives that of an item."""
    for order in reversed(orders):
        keys = {id(item): _sort_key(value(order.expression, item)) for item in items}
        items.sort(key=lambda item, keys=keys: keys[id(item)], reverse=order.descending)  # type: ignore[misc]


def _sort_key(value: Any) -> tuple[bool, Any]:
    """Where a value stands among others; PostgreSQL takes null for greater than all."""
    if isinstance(value, Record):
        value = value.id
    if isinstance(value, Quantity):
        value = value.value
    return value is None, 0 if value is None else value


def _key(value: Any) -> Any:
    return tuple(map(_key, value)) if isinstance(value, list) else value
