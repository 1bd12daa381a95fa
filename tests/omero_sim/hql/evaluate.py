"""Finds the rows that a query asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import omero

from omero_sim import schema
from omero_sim.access import Context, can_read
from omero_sim.errors import NotSimulated
from omero_sim.hql import grouping
from omero_sim.hql.check import check
from omero_sim.hql.columns import Scope, full_path
from omero_sim.hql.compute import Computer
from omero_sim.hql.tree import Compare, Expression, In, Join, Logic, Param, Path, Query, has_aggregate
from omero_sim.records import Pair, Record, Store
from omero_sim.values import entity_of, plain

Row = dict[str, Any]


@dataclass
class Result:
    """What a query found.

    Attributes:
        rows: Values of the columns.
        bindings: For each row the objects behind every alias, which decides what a fetch has loaded.
        scope: The names of the query.
    """

    rows: list[tuple[Any, ...]]
    bindings: list[Row]
    scope: Scope


@dataclass
class Evaluator:
    """Runs queries for one caller.

    Attributes:
        store: The database.
        context: Decides which rows exist for the caller.
        params: Wire values of the named parameters.
    """

    store: Store
    context: Context
    params: Mapping[str, Any] = field(default_factory=dict)
    _parameters: dict[str, Any] = field(default_factory=dict)
    _members: dict[str, frozenset[Any]] = field(default_factory=dict)

    def parameter(self, name: str) -> Any:
        """Plain value of a parameter, a row for an object, or a list of them."""
        if name not in self._parameters:
            wire = self.params[name]
            items = wire._val if isinstance(wire, omero.RCollection) else None
            self._parameters[name] = [self._plain(i) for i in items] if items is not None else self._plain(wire)
        return self._parameters[name]

    def members(self, name: str) -> frozenset[Any]:
        """The values of a parameter that is a list, to look things up in; rows count as their ids."""
        if name not in self._members:
            value = self.parameter(name)
            items = value if isinstance(value, list) else [value]
            self._members[name] = frozenset(i.id if isinstance(i, Record) else i for i in items)
        return self._members[name]

    def _plain(self, wire: Any) -> Any:
        value = plain(wire)
        return self.store.find(entity_of(value), value._id._val) if hasattr(value, "ice_id") else value

    def run(self, query: Query) -> Result:
        """All rows, sorted, before any limit."""
        scope = check(query, self.params)
        computer = Computer(self, scope)
        bindings = list(self.matching(query, scope, {}))
        columns = [s.expression for s in query.columns()]
        if query.grouping or any(map(has_aggregate, columns)):
            return Result(grouping.rows(query, bindings, computer), [], scope)
        grouping.sort(bindings, query.orders, computer.value)
        kept, rows = [], []
        for row in bindings:
            if all(computer.reachable(c, row) for c in columns):
                kept.append(row)
                rows.append(tuple(computer.value(c, row) for c in columns))
        if query.distinct and not any(j.fetch for j in query.joins):
            kept, rows = grouping.unique(kept, rows)
        return Result(rows, kept, scope)

    def matching(self, query: Query, scope: Scope, outer: Row) -> Iterator[Row]:
        """Rows of the clauses from and where, given the row of the query around this one."""
        computer = Computer(self, scope)
        rows: list[Row] = [outer]
        for source in query.sources:
            rows = [{**row, source.alias: r} for row in rows for r in self._candidates(query, source.alias, scope, row)]
        for join in query.joins:
            rows = [joined for row in rows for joined in self._joined(join, row, computer)]
        for row in rows:
            if query.where is None or computer.value(query.where, row) is True:
                yield row

    def visible(self, record: Record) -> bool:
        """Whether the caller's filters let this row through."""
        return can_read(record, self.context)

    def position(self, record: Any) -> int | None:
        """Where an object stands in the ordered collection that it belongs to.

        Raises:
            NotSimulated: For anything but channels.
        """
        if record is None:
            return None
        if not isinstance(record, Record) or record.entity != "Channel":
            raise NotSimulated("HQL function index() of anything but channels")
        return self.store.collection(record.get("pixels"), "channels").index(record)

    def _joined(self, join: Join, row: Row, computer: Computer) -> list[Row]:
        value = computer.value(join.path, row)
        if isinstance(value, tuple):
            value = [Pair(*pair) for pair in value]
        values = value if isinstance(value, list) else [] if value is None else [value]
        found = [{**row, join.alias: v} for v in values]
        if join.condition is not None:
            condition = join.condition
            found = [r for r in found if computer.value(condition, r) is True]
        return found or ([{**row, join.alias: None}] if join.outer else [])

    def _candidates(self, query: Query, alias: str, scope: Scope, row: Row) -> list[Record]:
        """Rows of a source, narrowed by ids where the query gives them, or nothing would be quick."""
        entity = scope.types[alias]
        for condition in _conjunction(query.where):
            found = self._by_id(condition, alias, entity, scope, row)
            if found is not None:
                return [r for r in found if schema.is_a(r.entity, entity) and self.visible(r)]
        return [r for r in self.store.all(entity) if self.visible(r)]

    def _by_id(self, condition: Expression, alias: str, entity: str, scope: Scope, row: Row) -> list[Record] | None:
        if isinstance(condition, Compare) and condition.operator == "=":
            key, items = condition.left, (condition.right,)
        elif isinstance(condition, In) and len(condition.items) == 1:
            key, items = condition.inner, condition.items
        else:
            return None
        if not isinstance(key, Path) or not isinstance(items[0], Param):
            return None
        names = full_path(key, scope).names
        value = Computer(self, scope).value(items[0], row)
        ids = value if isinstance(value, list) else [value]
        if names == (alias, "id"):
            return [r for r in (self.store.find(entity, i) for i in dict.fromkeys(ids)) if r is not None]
        if len(names) == 3 and names[0] == alias and names[2] == "id":
            return self._pointing(entity, names[1], ids)
        return None

    def _pointing(self, entity: str, name: str, ids: list[int]) -> list[Record] | None:
        found = schema.property_of(entity, name)
        if found is None or found.kind != "entity":
            return None
        targets = [t for t in (self.store.find(found.target, i) for i in dict.fromkeys(ids)) if t is not None]
        return [r for t in targets for r in t.referrers.get((schema.table_of(entity), name), {})]


def _conjunction(expression: Expression | None) -> Iterator[Expression]:
    if isinstance(expression, Logic) and expression.operator == "and":
        yield from _conjunction(expression.left)
        yield from _conjunction(expression.right)
    elif expression is not None:
        yield expression
