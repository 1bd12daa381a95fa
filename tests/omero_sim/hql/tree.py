"""What a query says, as values: the parser makes them, the checker and the evaluator read them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

AGGREGATES = frozenset({"count", "max", "min", "sum", "avg"})


@dataclass(frozen=True)
class Literal:
    """A number, a text, true, false or null."""

    value: object


@dataclass(frozen=True)
class Param:
    """`:name`."""

    name: str


@dataclass(frozen=True)
class Path:
    """`alias.property.property`."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Call:
    """`name(arguments)`; `distinct` as in `count(distinct x)`; no arguments stand for `count(*)`."""

    name: str
    arguments: tuple[Expression, ...]
    distinct: bool = False


@dataclass(frozen=True)
class Binary:
    """Arithmetic, or `||` for texts."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Compare:
    """`=`, `<>`, `<`, `>`, `<=`, `>=`."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Logic:
    """`and`, `or`."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Not:
    """`not x`."""

    inner: Expression


@dataclass(frozen=True)
class IsNull:
    """`x is null`, or `is not null` when negated."""

    inner: Expression
    negated: bool


@dataclass(frozen=True)
class In:
    """`x in (...)`; also `in elements(...)` and `member of`."""

    inner: Expression
    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Like:
    """`x like pattern`."""

    inner: Expression
    pattern: Expression
    any_case: bool


@dataclass(frozen=True)
class Exists:
    """`exists (query)`."""

    query: Query


@dataclass(frozen=True)
class Case:
    """`case when a then b else c end`."""

    branches: tuple[tuple[Expression, Expression], ...]
    otherwise: Expression


@dataclass(frozen=True)
class Subquery:
    """A query in brackets."""

    query: Query


Expression: TypeAlias = (
    Literal | Param | Path | Call | Binary | Compare | Logic | Not | IsNull | In | Like | Exists | Case | Subquery
)


@dataclass(frozen=True)
class Selected:
    """One column of the result and the name it was given."""

    expression: Expression
    name: str = ""


@dataclass(frozen=True)
class Source:
    """`Entity alias` after `from`."""

    entity: str
    alias: str


@dataclass(frozen=True)
class Join:
    """`left outer join fetch alias.property alias`."""

    path: Path
    alias: str
    outer: bool
    fetch: bool
    condition: Expression | None = None


@dataclass(frozen=True)
class Order:
    """One key to sort by."""

    expression: Expression
    descending: bool


@dataclass(frozen=True)
class Query:
    """A whole query.

    Attributes:
        selected: Columns; empty means the first source.
        distinct: Whether equal rows are one.
        as_map: Whether each row is a map (`new map(...)`).
        sources, joins, where, grouping, having, orders: The clauses.
    """

    selected: tuple[Selected, ...]
    distinct: bool
    as_map: bool
    sources: tuple[Source, ...]
    joins: tuple[Join, ...]
    where: Expression | None = None
    grouping: tuple[Expression, ...] = field(default=())
    having: Expression | None = None
    orders: tuple[Order, ...] = field(default=())

    def columns(self) -> tuple[Selected, ...]:
        """What is selected, also where the text does not say so."""
        return self.selected or (Selected(Path((self.sources[0].alias,))),)


def has_aggregate(expression: Expression) -> bool:
    """Whether the value depends on more than one row."""
    if isinstance(expression, Call):
        return expression.name in AGGREGATES or any(map(has_aggregate, expression.arguments))
    if isinstance(expression, Binary):
        return has_aggregate(expression.left) or has_aggregate(expression.right)
    return False
