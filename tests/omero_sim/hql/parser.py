"""Turns the words of a query into a tree. What is not written here is not understood, and refused."""

from __future__ import annotations

from omero_sim.errors import bad_query
from omero_sim.hql import expressions
from omero_sim.hql.lexer import tokens
from omero_sim.hql.reader import Reader
from omero_sim.hql.tree import Expression, Join, Order, Path, Query, Selected, Source


def parse(text: str) -> Query:
    """The tree of a query.

    Raises:
        omero.QueryException: The text is not a query that this server understands.
    """
    reader = Reader(tokens(text), text)
    query = read_query(reader)
    if reader.peek().kind != "end":
        raise bad_query(f"unexpected token: {reader.peek().written} [{text}]")
    return query


def read_query(reader: Reader) -> Query:
    """A query that may stand in brackets inside another one."""
    distinct = as_map = False
    selected: tuple[Selected, ...] = ()
    if reader.accept("select"):
        distinct = reader.accept("distinct")
        as_map = reader.accept("new")
        if as_map:
            if reader.name() != "map":
                raise bad_query("only new map(...) is understood")
            reader.expect("(")
        selected = _selected(reader)
        if as_map:
            reader.expect(")")
    reader.expect("from")
    sources, joins = _sources(reader)
    where = expressions.read(reader) if reader.accept("where") else None
    grouping: tuple[Expression, ...] = ()
    if reader.accept("group"):
        reader.expect("by")
        grouping = expressions.read_list(reader)
    having = expressions.read(reader) if reader.accept("having") else None
    return Query(selected, distinct, as_map, sources, joins, where, grouping, having, _orders(reader))


def _selected(reader: Reader) -> tuple[Selected, ...]:
    found = []
    while True:
        expression = expressions.read(reader)
        name = reader.name() if reader.accept("as") else ""
        found.append(Selected(expression, name))
        if not reader.accept(","):
            return tuple(found)


def _sources(reader: Reader) -> tuple[tuple[Source, ...], tuple[Join, ...]]:
    sources: list[Source] = []
    joins: list[Join] = []
    while True:
        entity = reader.path()[-1]
        reader.accept("as")
        alias = reader.name() if reader.peek().kind == "word" else "this"
        sources.append(Source(entity, alias))
        while reader.at("left", "inner", "join"):
            joins.append(_join(reader, len(joins)))
        if not reader.accept(","):
            return tuple(sources), tuple(joins)


def _join(reader: Reader, number: int) -> Join:
    outer = reader.accept("left")
    reader.accept("outer")
    reader.accept("inner")
    reader.expect("join")
    fetch = reader.accept("fetch")
    path = Path(reader.path())
    reader.accept("as")
    alias = reader.name() if reader.peek().kind == "word" else f"#{number}"
    condition = None
    if reader.accept("with"):
        if fetch:
            raise bad_query("with-clause not allowed on fetched associations; use filters")
        condition = expressions.read(reader)
    return Join(path, alias, outer, fetch, condition)


def _orders(reader: Reader) -> tuple[Order, ...]:
    if not reader.accept("order"):
        return ()
    reader.expect("by")
    found = []
    while True:
        expression = expressions.read(reader)
        descending = reader.accept("desc")
        if not descending:
            reader.accept("asc")
        found.append(Order(expression, descending))
        if not reader.accept(","):
            return tuple(found)
