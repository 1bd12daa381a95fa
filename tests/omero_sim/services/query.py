"""IQuery: reading objects by id and by query."""

from __future__ import annotations

from typing import Any

from omero import rtypes

from omero_sim import schema
from omero_sim.access import can_read
from omero_sim.calls import Call
from omero_sim.errors import NotSimulated, api_usage, invalid, security
from omero_sim.hql.columns import column_of
from omero_sim.hql.compute import Permissions
from omero_sim.hql.evaluate import Evaluator, Result
from omero_sim.hql.parser import parse
from omero_sim.hql.tree import AGGREGATES, Path, Query
from omero_sim.hql.tree import Call as Function
from omero_sim.loading import Fetched, Loader, fetched_by
from omero_sim.records import Record
from omero_sim.services.base import Service
from omero_sim.values import entity_named, wrapped


class QueryService(Service):
    """Answers queries for what the caller may read."""

    def get(self, call: Call, entity: str, number: int) -> Any:
        """The object with that id, or an error."""
        record = self._find(call, entity, number)
        if record is None:
            raise invalid(f"The requested object ({entity},{number}) is not available.")
        return Loader(self.store, call.context).load(record)

    def find(self, call: Call, entity: str, number: int) -> Any:
        """The object with that id, None when there is none, an error when the caller may not read it."""
        return Loader(self.store, call.context).load(self._find(call, entity, number))

    def findAll(self, call: Call, entity: str, page: Any) -> list[Any]:
        """Every object of a class."""
        records = [r for r in self.store.all(_known(entity)) if can_read(r, call.context)]
        loader = Loader(self.store, call.context)
        return [loader.load(r) for r in _page(records, page)]

    def findByString(self, call: Call, entity: str, field: str, value: str) -> Any:
        """The object with a text in one property, None when there is none."""
        found = self._with_text(call, entity, field, value)
        if len(found) > 1:
            raise api_usage(f"query did not return a unique result: {len(found)}")
        return Loader(self.store, call.context).load(found[0] if found else None)

    def findAllByString(self, call: Call, entity: str, field: str, value: str, case: bool, page: Any) -> list[Any]:
        """Every object with a text in one property."""
        if not case:
            raise NotSimulated("IQuery.findAllByString without regard to case")
        loader = Loader(self.store, call.context)
        return [loader.load(r) for r in _page(self._with_text(call, entity, field, value), page)]

    def findByQuery(self, call: Call, text: str, params: Any) -> Any:
        """The one object that a query finds, None when it finds none."""
        found = self.findAllByQuery(call, text, params)
        if len({o._id._val for o in found}) > 1:
            raise api_usage(f"query did not return a unique result: {len(found)}")
        return found[0] if found else None

    def findAllByQuery(self, call: Call, text: str, params: Any) -> list[Any]:
        """The objects that a query finds, with what it fetches."""
        query, result = self._run(call, text, params)
        loader = Loader(self.store, call.context, fetched_by(query, result))
        records = []
        for row in result.rows:
            if len(row) != 1 or not (row[0] is None or isinstance(row[0], Record)):
                raise invalid("The query selects values, not objects: use projection()")
            records.append(row[0])
        if any(j.fetch for j in query.joins):
            # Hibernate makes one object of the rows that a fetched collection multiplies.
            records = list(dict.fromkeys(records))
        return [loader.load(r) for r in _page(records, params) if r is not None]

    def projection(self, call: Call, text: str, params: Any) -> list[list[Any]]:
        """The rows of values that a query finds."""
        query, result = self._run(call, text, params)
        evaluator = Evaluator(self.store, call.context)
        loader = Loader(self.store, call.context, fetched_by(query, result))
        wires = [_wire_type(s.expression, result) for s in query.columns()]
        if query.as_map:
            result.rows = [_with_rights(query, row, evaluator) for row in result.rows]
        rows = [
            [_cell(value, wire, loader) for value, wire in zip(row, wires, strict=True)]
            for row in _page(result.rows, params)
        ]
        if not query.as_map:
            return rows
        names = [s.name or str(n) for n, s in enumerate(query.columns())]
        return [[rtypes.rmap(dict(zip(names, row, strict=True)))] for row in rows]

    def refresh(self, call: Call, instance: Any) -> Any:
        """The object as it is now."""
        return self.get(call, instance.ice_id(), instance._id._val)

    def _find(self, call: Call, entity: str, number: int) -> Record | None:
        record = self.store.find(_known(entity), number)
        if record is not None and not can_read(record, call.context):
            raise security(f"Cannot read {record.entity}:Id_{number}")
        return record

    def _with_text(self, call: Call, entity: str, field: str, value: str) -> list[Record]:
        known = _known(entity)
        if schema.property_of(known, field) is None:
            raise api_usage(f"could not resolve property: {field} of: {known}")
        return [r for r in self.store.all(known) if r.get(field) == value and can_read(r, call.context)]

    def _run(self, call: Call, text: str, params: Any) -> tuple[Query, Result]:
        self.server.ledger.query(text)
        values = (params.map if params is not None else None) or {}
        query = parse(text)
        return query, Evaluator(self.store, call.context, values).run(query)


def _known(entity: str) -> str:
    name = entity_named(entity)
    if not schema.is_entity(name):
        raise api_usage(f"{entity} is not a type of object")
    return name


def _page(rows: list[Any], params: Any) -> list[Any]:
    """The part of the rows that a filter asks for."""
    page = getattr(params, "theFilter", params)
    if page is None or not hasattr(page, "limit"):
        return rows
    first = page.offset._val if page.offset is not None else 0
    return rows[first : first + page.limit._val] if page.limit is not None else rows[first:]


def _wire_type(expression: Any, result: Result) -> str:
    """Wire type of a column; empty where its values tell."""
    if isinstance(expression, Path):
        column = column_of(expression, result.scope)
        return column.target if column.kind == "value" else ""
    if isinstance(expression, Function) and expression.name in AGGREGATES:
        if expression.name in ("count", "avg"):
            return "RLong" if expression.name == "count" else "RDouble"
        inner = _wire_type(expression.arguments[0], result)
        return "RLong" if expression.name == "sum" and inner == "RInt" else inner
    return ""


def _cell(value: Any, wire: str, loader: Loader) -> Any:
    if isinstance(value, Record):
        return rtypes.robject(loader.load(value))
    if hasattr(value, "as_map"):
        rights = value.as_map()
        mode = rtypes.rstring(str(rights.pop("perm")))
        return rtypes.rmap({"perm": mode, **{name: rtypes.rbool(may) for name, may in rights.items()}})
    if isinstance(value, list):
        return rtypes.rlist([_cell(v, wire, loader) for v in value])
    return wrapped(value, wire)


def _with_rights(query: Query, row: tuple[Any, ...], evaluator: Evaluator) -> tuple[Any, ...]:
    """In a map, an object under a name that ends so stands for what the caller may do with it."""
    return tuple(
        Permissions(value, evaluator)
        if isinstance(value, Record) and s.name.endswith("_details_permissions")
        else value
        for s, value in zip(query.columns(), row, strict=True)
    )


def load_with(service: Service, call: Call, record: Record | None, tree: dict[str, Any]) -> Any:
    """The object of a row, with the properties that `tree` names."""
    fetched = Fetched()
    fetched.follow(service.store, record, tree, call.context)
    return Loader(service.store, call.context, fetched).load(record)
