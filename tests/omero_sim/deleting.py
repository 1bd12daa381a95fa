"""What goes when an object goes: the graph rules of `Delete2`.

Rows that belong to the object (pixels, ROIs, shapes), links to and from it, and what hung on nothing but it:
annotations, those of other users included, and images that are in no other dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import omero.model

from omero_sim import schema
from omero_sim.access import Context, can_delete
from omero_sim.records import Record, Store

# Rows that another row points at and that have no use without it.
OWNED = {
    ("FileAnnotation", "file"),
    ("Channel", "logicalChannel"),
    ("Channel", "statsInfo"),
    ("WellSample", "image"),
    ("Image", "objectiveSettings"),
    ("Image", "instrument"),
    ("Image", "imagingEnvironment"),
    ("Image", "stageLabel"),
}


class Refused(Exception):
    """The objects cannot be deleted; nothing was."""


@dataclass(frozen=True)
class Options:
    """What a client asked to keep or to take along.

    Attributes:
        exclude: Classes that stay even when nothing holds them any more.
        include: Classes that go even when something else holds them.
        exclude_namespaces: Namespaces of annotations that stay.
    """

    exclude: frozenset[str] = frozenset()
    include: frozenset[str] = frozenset()
    exclude_namespaces: frozenset[str] = frozenset()

    def keeps(self, record: Record) -> bool:
        """Whether the client wants this one to stay."""
        named = any(a in self.exclude for a in schema.ancestors(record.entity))
        return named or record.get("ns") in self.exclude_namespaces - {None}

    def takes(self, record: Record) -> bool:
        """Whether the client wants this one to go in any case."""
        return any(a in self.include for a in schema.ancestors(record.entity))


@dataclass
class Deletion:
    """Plans a deletion, then carries it out or not.

    Attributes:
        gone: The rows to delete, in the order in which they were found.
    """

    store: Store
    context: Context
    options: Options
    gone: dict[Record, None] = field(default_factory=dict)

    def plan(self, targets: Iterable[Record], *, check: bool = True) -> Deletion:
        """Finds everything that goes with the targets.

        Raises:
            Refused: The user may not delete a target, or something that stays needs it.
        """
        for target in targets:
            if check and not can_delete(target, self.context):
                raise Refused(f"may not delete {target.entity}[{target.id}]")
            self._take(target)
        for record in self.gone:
            for row, name in self.store.referring(record):
                if row not in self.gone and schema.fields(row.entity)[name].required:
                    raise Refused(f"cannot delete {record.entity}[{record.id}]: needed by {row.entity}[{row.id}]")
        return self

    def by_class(self) -> dict[str, list[int]]:
        """Full class names with the ids of what goes."""
        found: dict[str, list[int]] = {}
        for record in self.gone:
            found.setdefault(full_name(record.entity), []).append(record.id)
        return found

    def carry_out(self, removed: Callable[[Record], None] | None = None) -> None:
        """Deletes; what stays and pointed at a deleted row points at nothing then."""
        for record in self.gone:
            for row, name in self.store.referring(record):
                if row not in self.gone:
                    self.store.set(row, name, None)
        for record in self.gone:
            self.store.remove(record)
            if removed is not None:
                removed(record)

    def _take(self, record: Record) -> None:
        if record in self.gone:
            return
        self.gone[record] = None
        collections = [f for f in schema.fields(record.entity).values() if f.kind == "collection"]
        for row, name in list(self.store.referring(record)):
            belongs = any(f.inverse == name and schema.is_a(row.entity, f.target) for f in collections)
            if schema.is_link(row.entity) or (belongs and row.entity != "WellSample") or self._sample(record, row):
                self._take(row)
        if schema.is_link(record.entity) and record.get("parent") in self.gone:
            self._orphan(record.get("child"), whole=not record.entity.endswith("AnnotationLink"))
        for name, value in list(record.values.items()):
            if isinstance(value, Record) and (record.entity, name) in OWNED:
                self._orphan(value, whole=False)

    def _sample(self, record: Record, row: Record) -> bool:
        """A field of a well goes with its well or run, but an image in a plate is not deleted alone."""
        return row.entity == "WellSample" and record.entity in ("Well", "PlateAcquisition")

    def _orphan(self, record: Record | None, *, whole: bool) -> None:
        """Takes a row that nothing else holds; `whole` objects (images, datasets) only with the right to."""
        if record is None or record in self.gone or self.options.keeps(record):
            return
        held = any(self._holds(row, name) for row, name in self.store.referring(record) if row not in self.gone)
        if held and not self.options.takes(record):
            return
        if not whole or can_delete(record, self.context):
            self._take(record)

    def _holds(self, row: Record, name: str) -> bool:
        if schema.is_link(row.entity):
            return name == "child"
        return any((a, name) in OWNED for a in schema.ancestors(row.entity)) or row.entity == "WellSample"


def full_name(entity: str) -> str:
    """Name of the class on the server, as answers to commands have it."""
    return str(getattr(omero.model, f"{entity}I").DETAILS).rsplit("_", 1)[0]
