"""What the names in a query stand for, found before any row is looked at, as the real server does."""

from __future__ import annotations

from dataclasses import dataclass

from omero_sim import schema
from omero_sim.errors import bad_query
from omero_sim.hql.tree import Path

DETAILS = {
    "owner": "Experimenter",
    "group": "ExperimenterGroup",
    "creationEvent": "Event",
    "updateEvent": "Event",
    "externalInfo": "ExternalInfo",
}

# Elements of the one kind of collection whose members are no objects: the pairs of a map annotation.
PAIR = "NamedValue"
PAIRS = "NamedValueList"


@dataclass(frozen=True)
class Column:
    """The type of an expression.

    Attributes:
        kind: "entity", "collection", "value", "unit", "details", "permissions" or "class".
        target: Entity, wire type of a value, or kind of quantity.
    """

    kind: str
    target: str = ""


@dataclass(frozen=True)
class Scope:
    """The names that a query has given to rows.

    Attributes:
        types: Alias to entity, in the order of the text.
        outer: The scope of the query around this one.
    """

    types: dict[str, str]
    outer: Scope | None = None

    def entity(self, alias: str) -> str | None:
        """Class of the rows with that alias, here or further out."""
        if alias in self.types:
            return self.types[alias]
        return self.outer.entity(alias) if self.outer else None


def full_path(path: Path, scope: Scope) -> Path:
    """The path with its alias, also where the text leaves it out.

    Raises:
        omero.QueryException: Nothing here has that name.
    """
    head = path.names[0]
    if scope.entity(head) is not None:
        return path
    current: Scope | None = scope
    while current is not None:
        for alias, entity in reversed(current.types.items()):
            if head in ("id", "class", "details") or schema.property_of(entity, head) is not None:
                return Path((alias, *path.names))
        current = current.outer
    raise bad_query(f"Invalid path: '{'.'.join(path.names)}'")


def column_of(path: Path, scope: Scope) -> Column:
    """Type of a path.

    Raises:
        omero.QueryException: A property does not exist, or a collection is used as if it were one object.
    """
    if len(path.names) == 1 and scope.entity(path.names[0]) is None and schema.is_entity(path.names[0]):
        return Column("class")
    full = full_path(path, scope)
    column = Column("entity", scope.entity(full.names[0]) or "")
    for name in full.names[1:]:
        column = _step(column, name, full)
    return column


def _step(column: Column, name: str, path: Path) -> Column:
    if column.kind == "details":
        if name == "permissions":
            return Column("permissions")
        if name in DETAILS:
            return Column("entity", DETAILS[name])
    elif column.kind == "permissions" and name == "perm1":
        return Column("value", "RLong")
    elif column.kind == "unit" and name in ("value", "unit"):
        return Column("value", "RDouble" if name == "value" else "RString")
    elif column.kind == "collection":
        raise bad_query(
            f"illegal attempt to dereference collection [{'.'.join(path.names)}] with element property reference"
        )
    elif column.kind == "entity":
        return _property(column.target, name, path)
    raise bad_query(f"could not resolve property: {name} of: {column.target or column.kind} [{'.'.join(path.names)}]")


def _property(entity: str, name: str, path: Path) -> Column:
    if entity == PAIR and name in ("name", "value"):
        return Column("value", "RString")
    if name == "id":
        return Column("value", "RLong")
    if name == "class":
        return Column("class")
    if name == "details":
        return Column("details", entity)
    if name == "version":
        return Column("value", "RInt")
    found = schema.property_of(entity, name)
    if found is None:
        raise bad_query(f"could not resolve property: {name} of: ome.model.{entity} [{'.'.join(path.names)}]")
    return Column(found.kind, found.target)
