"""Makes the objects that clients receive: what was fetched is loaded, everything else is a reference by id."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import omero.model

from omero_sim import schema
from omero_sim.access import Context, can_read, restrictions
from omero_sim.hql.evaluate import Result
from omero_sim.hql.tree import Query
from omero_sim.records import Record, Store
from omero_sim.values import to_wire

# Property of the details on the wire to the attribute of a row.
DETAILS = {
    "owner": "owner",
    "group": "group",
    "creationEvent": "created",
    "updateEvent": "updated",
    "externalInfo": "external",
}


@dataclass
class Fetched:
    """Which parts of a graph are loaded.

    Attributes:
        collections: (row, collection) to the rows that are in it, as far as the query let them through.
        references: (row, property) of objects that are loaded; those of the details start with `details.`.
        rows: Of those objects. There is one of each, so it is loaded wherever else the answer mentions it.
    """

    collections: dict[tuple[Record, str], list[Record]] = field(default_factory=dict)
    references: set[tuple[Record, str]] = field(default_factory=set)
    rows: set[Record] = field(default_factory=set)

    def follow(self, store: Store, record: Record | None, tree: dict[str, Any], context: Context) -> None:
        """Loads the properties that the keys of `tree` name, and from there those of its values."""
        if record is None:
            return
        for name, below in tree.items():
            if name.startswith("details."):
                self.references.add((record, name))
                self.follow(store, getattr(record, DETAILS[name.partition(".")[2]]), below, context)
                continue
            found = schema.fields(record.entity).get(name)
            if found is None:
                continue
            if found.kind == "collection":
                rows = [r for r in store.collection(record, name) if can_read(r, context)]
                self.collections[record, name] = rows
            else:
                self.references.add((record, name))
                rows = [record.get(name)]
            for row in rows:
                self.follow(store, row, below, context)


def fetched_by(query: Query, result: Result) -> Fetched:
    """What the fetches of a query have loaded: of a collection only the members that the conditions left."""
    fetched = Fetched()
    joins = [j for j in query.joins if j.fetch]
    for row in result.bindings:
        for join in joins:
            names = join.path.names
            owner, details = row.get(names[0]), False
            for name in names[1:-1]:
                details = name == "details"
                owner = owner if details or owner is None else owner.get(name)
            if owner is None:
                continue
            value = row.get(join.alias)
            if isinstance(value, Record):
                fetched.rows.add(value)
            if details:
                fetched.references.add((owner, f"details.{names[-1]}"))
                continue
            found = schema.property_of(owner.entity, names[-1])
            if found is None or found.kind != "collection":
                fetched.references.add((owner, names[-1]))
                continue
            members = fetched.collections.setdefault((owner, names[-1]), [])
            if value is not None and value not in members:
                members.append(value)
    return fetched


class Loader:
    """Makes objects for one answer, each row once."""

    def __init__(self, store: Store, context: Context, fetched: Fetched | None = None) -> None:
        self._store = store
        self._context = context
        self._fetched = fetched or Fetched()
        self._made: dict[Record, Any] = {}

    def load(self, record: Record | None) -> Any:
        """The object of a row, loaded."""
        if record is None:
            return None
        if record in self._made:
            return self._made[record]
        instance = getattr(omero.model, f"{record.entity}I")(record.id, True)
        instance.unloadCollections()
        self._made[record] = instance
        for found in schema.fields(record.entity).values():
            if found.kind == "collection":
                self._collection(record, instance, found.name)
            elif found.kind == "entity":
                setattr(instance, f"_{found.name}", self._reference(record, found.name, record.get(found.name)))
            elif record.get(found.name) is not None:
                setattr(instance, f"_{found.name}", to_wire(found, record.get(found.name)))
        instance._details = self._details(record)
        return instance

    def _collection(self, record: Record, instance: Any, name: str) -> None:
        rows = self._fetched.collections.get((record, name))
        setattr(instance, f"_{name}Loaded", rows is not None)
        setattr(instance, f"_{name}Seq", [self.load(r) for r in rows or ()])

    def _reference(self, record: Record, name: str, value: Record | None) -> Any:
        if value is None:
            return None
        if (record, name) in self._fetched.references or value in self._fetched.rows or value in self._made:
            return self.load(value)
        return getattr(omero.model, f"{value.entity}I")(value.id, False)

    def _details(self, record: Record) -> Any:
        details = omero.model.DetailsI()
        for name, attribute in DETAILS.items():
            value = getattr(record, attribute)
            setattr(details, f"_{name}", self._reference(record, f"details.{name}", value))
        group = record if record.entity == "ExperimenterGroup" else record.group
        mode = group.get("permissions") if group is not None else None
        details._permissions = omero.model.PermissionsI(-1 if mode is None else mode)
        details._permissions._restrictions = restrictions(record, self._context)
        details._permissions._extendedRestrictions = []
        return details
