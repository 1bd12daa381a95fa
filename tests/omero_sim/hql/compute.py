"""Values of expressions for one row, with SQL's three-valued logic: None is unknown."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from omero_sim import schema
from omero_sim.access import restrictions
from omero_sim.deleting import full_name
from omero_sim.errors import NotSimulated
from omero_sim.hql import grouping
from omero_sim.hql.check import check
from omero_sim.hql.columns import Scope, column_of, full_path
from omero_sim.hql.tree import (
    Binary,
    Call,
    Case,
    Compare,
    Exists,
    Expression,
    In,
    IsNull,
    Like,
    Literal,
    Logic,
    Not,
    Param,
    Path,
    Subquery,
    has_aggregate,
)
from omero_sim.records import Pair, Quantity, Record

if TYPE_CHECKING:
    from omero_sim.hql.evaluate import Evaluator, Row

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "||": lambda a, b: f"{a}{b}",
}
DETAILS = {
    "owner": "owner",
    "group": "group",
    "creationEvent": "created",
    "updateEvent": "updated",
    "externalInfo": "external",
}


class Computer:
    """Computes the expressions of one query."""

    def __init__(self, evaluator: Evaluator, scope: Scope) -> None:
        self._evaluator = evaluator
        self._scope = scope
        self._by_type: dict[type, Callable[[Any, Row], Any]] = {
            Literal: lambda e, row: e.value,
            Param: self._param,
            Path: self._path,
            Logic: self._logic,
            Not: self._not,
            IsNull: lambda e, row: (self.value(e.inner, row) is None) != e.negated,
            Compare: self._compare,
            In: self._in,
            Like: self._like,
            Exists: lambda e, row: bool(self._rows(e, row)),
            Subquery: self._subquery,
            Binary: lambda e, row: _both(e.operator, self.value(e.left, row), self.value(e.right, row)),
            Case: self._case,
            Call: self._call,
        }

    def value(self, expression: Expression, row: Row) -> Any:
        """Value of an expression: a plain one, a record, or a list for a collection."""
        return self._by_type[type(expression)](expression, row)

    def reachable(self, expression: Expression, row: Row) -> bool:
        """Whether every object on the way to a column exists; the joins that a path implies drop the others.

        The id of an object is a column of the row that points at it, and a quantity is two columns of its own row, so
        no join is needed for those.
        """
        if not isinstance(expression, Path):
            return True
        if self._is_class(expression):
            return True
        names = full_path(expression, self._scope).names
        value = row.get(names[0])
        for number, name in enumerate(names[1:-1], start=1):
            if names[number + 1 :] == ("id",) or column_of(Path(names[: number + 1]), self._scope).kind == "unit":
                break
            value = self._step(value, name)
            if value is None:
                return False
        return True

    def _is_class(self, path: Path) -> bool:
        name = path.names[0]
        return len(path.names) == 1 and self._scope.entity(name) is None and schema.is_entity(name)

    def _param(self, param: Param, row: Row) -> Any:
        return self._evaluator.parameter(param.name)

    def _path(self, path: Path, row: Row) -> Any:
        if self._is_class(path):
            return path.names[0]
        names = full_path(path, self._scope).names
        value = row.get(names[0])
        for name in names[1:]:
            value = self._step(value, name)
        return value

    def _step(self, value: Any, name: str) -> Any:
        if isinstance(value, _Details):
            if name == "permissions":
                return Permissions(value.record, self._evaluator)
            return getattr(value.record, DETAILS[name])
        if isinstance(value, Quantity | Pair):
            return getattr(value, name)
        if isinstance(value, Permissions):
            return value.as_map()["perm"]
        if not isinstance(value, Record):
            return None
        if name in ("id", "class"):
            return value.id if name == "id" else value.entity
        if name == "details":
            return _Details(value)
        found = schema.fields(value.entity).get(name)
        if found is not None and found.kind == "collection":
            rows = self._evaluator.store.collection(value, name)
            return [r for r in rows if self._evaluator.visible(r)]
        return value.get(name)

    def _logic(self, logic: Logic, row: Row) -> bool | None:
        decided = logic.operator == "or"
        left = self.value(logic.left, row)
        if left is decided:
            return decided
        right = self.value(logic.right, row)
        if right is decided:
            return decided
        return None if left is None or right is None else not decided

    def _not(self, inner: Not, row: Row) -> bool | None:
        value = self.value(inner.inner, row)
        return None if value is None else not value

    def _compare(self, compare: Compare, row: Row) -> bool | None:
        left, right = _alike(self.value(compare.left, row), self.value(compare.right, row))
        return _both(compare.operator, left, right)

    def _in(self, expression: In, row: Row) -> bool | None:
        value = self.value(expression.inner, row)
        only = expression.items[0]
        if isinstance(only, Param) and len(expression.items) == 1 and isinstance(value, int | str):
            return value in self._evaluator.members(only.name)
        found: list[Any] = []
        for item in expression.items:
            inner = self.value(item, row)
            found += inner if isinstance(inner, list) else [inner]
        if value is None:
            return None
        return any(operator.eq(*_alike(value, f)) for f in found)

    def _like(self, like: Like, row: Row) -> bool | None:
        text, pattern = self.value(like.inner, row), self.value(like.pattern, row)
        if text is None or pattern is None:
            return None
        parts = (".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern)
        return re.fullmatch("".join(parts), text, re.S | (re.I if like.any_case else 0)) is not None

    def _case(self, case: Case, row: Row) -> Any:
        for condition, value in case.branches:
            if self.value(condition, row) is True:
                return self.value(value, row)
        return self.value(case.otherwise, row)

    def _call(self, function: Call, row: Row) -> Any:
        values = [self.value(a, row) for a in function.arguments]
        return self._evaluator.position(values[0]) if function.name == "index" else call(function.name, values)

    def _rows(self, nested: Subquery | Exists, row: Row) -> list[Row]:
        scope = check(nested.query, self._evaluator.params, self._scope)
        return list(self._evaluator.matching(nested.query, scope, row))

    def _subquery(self, nested: Subquery, row: Row) -> Any:
        scope = check(nested.query, self._evaluator.params, self._scope)
        rows = list(self._evaluator.matching(nested.query, scope, row))
        inner = Computer(self._evaluator, scope)
        column = nested.query.columns()[0].expression
        if has_aggregate(column):
            return grouping.aggregate(column, rows, inner)
        return [inner.value(column, r) for r in rows]


class _Details:
    """The part of an object that says whose it is."""

    def __init__(self, record: Record) -> None:
        self.record = record


class Permissions:
    """What the caller may do with an object, as a column of a query."""

    def __init__(self, record: Record, evaluator: Evaluator) -> None:
        self._record = record
        self._evaluator = evaluator

    def as_map(self) -> dict[str, Any]:
        """The rights by the names that clients expect."""
        mode = (self._record.group or self._record).get("permissions")
        denied = restrictions(self._record, self._evaluator.context)
        rights = dict(zip(("canLink", "canEdit", "canDelete", "canAnnotate"), (not d for d in denied), strict=True))
        return {"perm": mode, **rights}


def call(name: str, values: list[Any]) -> Any:
    """A function of values.

    Raises:
        NotSimulated: This server does not know it.
    """
    first = values[0] if values else None
    if name == "coalesce":
        return next((v for v in values if v is not None), None)
    if name == "concat":
        return "".join(map(str, values))
    if name == "cast":
        return {"string": str, "text": str, "int": int, "integer": int, "long": int, "double": float}[values[1]](first)
    if name == "elements":
        return first
    if first is None:
        return None
    if name == "type":
        return full_name(first)
    functions = {"lower": str.lower, "upper": str.upper, "length": len, "size": len, "abs": abs, "str": str}
    if name not in functions:
        raise NotSimulated(f"HQL function {name}()")
    return functions[name](first)


def _both(sign: str, left: Any, right: Any) -> Any:
    return None if left is None or right is None else OPERATORS[sign](left, right)


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    """An object compared with a number means its id; a subquery of one row means that row."""
    left, right = _single(left), _single(right)
    if isinstance(left, Record) and isinstance(right, int):
        return left.id, right
    if isinstance(right, Record) and isinstance(left, int):
        return left, right.id
    return left, right


def _single(value: Any) -> Any:
    if isinstance(value, list):
        return (value[0] if len(value) == 1 else value) if value else None
    return value
