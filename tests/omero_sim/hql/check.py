"""Refuses queries that the real server refuses, before a row is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import omero

from omero_sim import schema
from omero_sim.errors import NotSimulated, api_usage, bad_query, internal
from omero_sim.hql.columns import PAIR, PAIRS, Column, Scope, column_of, full_path
from omero_sim.hql.tree import (
    AGGREGATES,
    Binary,
    Call,
    Case,
    Compare,
    Exists,
    Expression,
    In,
    IsNull,
    Like,
    Logic,
    Not,
    Param,
    Path,
    Query,
    Subquery,
)

FUNCTIONS = AGGREGATES | {
    "lower",
    "upper",
    "length",
    "size",
    "coalesce",
    "concat",
    "cast",
    "abs",
    "elements",
    "index",
    "str",
    "type",
}

# PostgreSQL's wire protocol counts parameters with 15 bits.
MOST_PARAMETERS = 32767


def check(query: Query, params: Mapping[str, Any], outer: Scope | None = None) -> Scope:
    """The names of the query, once all of it makes sense.

    Raises:
        omero.QueryException: Unknown entity, alias or property, or a fetch whose owner is not selected.
        omero.ApiUsageException: An empty list of values, or bytes as a column.
        omero.InternalException: A parameter of another type than its column, or too many of them.
        NotSimulated: A function that this server does not know.
    """
    scope = _scope(query, outer)
    for expression in _parts(query):
        _expression(expression, params, scope)
    _columns(query, scope)
    _fetches(query, scope)
    _distinct_order(query, scope)
    return scope


def _scope(query: Query, outer: Scope | None) -> Scope:
    types: dict[str, str] = {}
    for source in query.sources:
        if not schema.is_entity(source.entity):
            raise bad_query(f"{source.entity} is not mapped")
        types[source.alias] = source.entity
    for join in query.joins:
        scope = Scope(types, outer)
        if scope.entity(join.path.names[0]) is None:
            raise bad_query(f"Invalid path: '{'.'.join(join.path.names)}'")
        column = column_of(join.path, scope)
        if column.target == PAIRS:
            column = Column("collection", PAIR)
        if column.kind not in ("entity", "collection", "unit"):
            raise bad_query(f"cannot join {'.'.join(join.path.names)}")
        types[join.alias] = column.target
    return Scope(types, outer)


def _parts(query: Query) -> Iterator[Expression]:
    yield from (s.expression for s in query.columns())
    yield from (e for e in (query.where, query.having) if e is not None)
    yield from (j.condition for j in query.joins if j.condition is not None)
    yield from query.grouping
    yield from (o.expression for o in query.orders)


def _expression(expression: Expression, params: Mapping[str, Any], scope: Scope) -> None:
    if isinstance(expression, Path):
        column_of(expression, scope)
    elif isinstance(expression, Param):
        _given(expression, params)
    elif isinstance(expression, Subquery | Exists):
        check(expression.query, params, scope)
    elif isinstance(expression, Call) and expression.name not in FUNCTIONS:
        raise NotSimulated(f"HQL function {expression.name}()")
    elif isinstance(expression, Compare):
        _types_agree(expression.left, expression.right, params, scope)
        _types_agree(expression.right, expression.left, params, scope)
    elif isinstance(expression, In):
        for item in expression.items:
            _types_agree(expression.inner, item, params, scope)
    for child in _children(expression):
        _expression(child, params, scope)


def _children(expression: Expression) -> tuple[Expression, ...]:
    if isinstance(expression, Binary | Compare | Logic):
        return expression.left, expression.right
    if isinstance(expression, Not | IsNull):
        return (expression.inner,)
    if isinstance(expression, In):
        return (expression.inner, *expression.items)
    if isinstance(expression, Like):
        return expression.inner, expression.pattern
    if isinstance(expression, Call):
        return expression.arguments
    if isinstance(expression, Case):
        return (*(e for branch in expression.branches for e in branch), expression.otherwise)
    return ()


def _given(param: Param, params: Mapping[str, Any]) -> Any:
    if param.name not in params:
        raise bad_query(f"Not all named parameters have been set: [{param.name}]")
    value = params[param.name]
    if isinstance(value, omero.RCollection):
        if not value._val:
            raise api_usage(f"Empty collection for parameter {param.name}")
        if len(value._val) > MOST_PARAMETERS:
            raise internal(f"Tried to send an out-of-range integer as a 2-byte value: {len(value._val)}", "IOException")
    return value


def _types_agree(left: Expression, right: Expression, params: Mapping[str, Any], scope: Scope) -> None:
    if not isinstance(left, Path) or not isinstance(right, Param):
        return
    column = column_of(left, scope)
    value = _given(right, params)
    for item in value._val if isinstance(value, omero.RCollection) else [value]:
        if not _fits(column, item):
            given = type(item).__name__.removesuffix("I")
            raise internal(
                f"java.lang.ClassCastException: {given} cannot be cast to {column.target}", "ClassCastException"
            )


def _fits(column: Column, value: Any) -> bool:
    if value is None:
        return True
    if column.kind == "value" and column.target.startswith("R"):
        return isinstance(value, getattr(omero, column.target))
    if column.kind in ("entity", "collection"):
        return isinstance(value, omero.RObject)
    return True


def _columns(query: Query, scope: Scope) -> None:
    for selected in query.columns():
        if isinstance(selected.expression, Path) and column_of(selected.expression, scope) == Column(
            "value", "ByteSeq"
        ):
            raise api_usage("No conversion for type: [B")


def _fetches(query: Query, scope: Scope) -> None:
    """A fetch needs its owner among the columns, directly or by fetches."""
    shown = {full_path(s.expression, scope).names[0] for s in query.columns() if _is_alias(s.expression)}
    for join in query.joins:
        if not join.fetch:
            continue
        if join.path.names[0] not in shown:
            path = ".".join(join.path.names)
            raise bad_query(
                "query specified join fetching, but the owner of the fetched association was not present in the select"
                f" list [{path}]"
            )
        shown.add(join.alias)


def _is_alias(expression: Expression) -> bool:
    return isinstance(expression, Path) and len(expression.names) == 1


def _distinct_order(query: Query, scope: Scope) -> None:
    """PostgreSQL: with `select distinct`, what it sorts by must be among the columns."""
    if not query.distinct:
        return
    columns = [s.expression for s in query.columns()]
    shown = {c.names[0] for c in columns if isinstance(c, Path) and len(c.names) == 1}
    shown |= {j.alias for j in query.joins if j.fetch}
    for order in query.orders:
        key = order.expression
        own = (
            isinstance(key, Path) and len(full_path(key, scope).names) <= 2 and full_path(key, scope).names[0] in shown
        )
        if key not in columns and not own:
            raise internal(
                "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
                "InvalidDataAccessResourceUsageException",
            )
