"""The database: rows of every entity in memory, with transactions that leave nothing behind when they fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from omero_sim import schema


@dataclass(frozen=True)
class Quantity:
    """A number with a unit, as columns of physical sizes and times have it."""

    kind: str
    value: float
    unit: str


class Pair(NamedTuple):
    """One entry of a map annotation."""

    name: str
    value: str


@dataclass(eq=False, slots=True)
class Record:
    """One row.

    Attributes:
        entity: Class of the object.
        id: Unique in the hierarchy of the class.
        values: Property to plain Python value, `Quantity`, or `Record`; collections are not kept here.
        owner: Who it belongs to; None for what belongs to nobody.
        group: The group that decides who sees it.
        created: The event in which it was made.
        updated: The event in which it was changed last; stands for the version.
        external: Its `ExternalInfo`.
        referrers: (table, property) to the rows that point here, in the order in which they came.
    """

    entity: str
    id: int
    values: dict[str, Any] = field(default_factory=dict)
    owner: Record | None = None
    group: Record | None = None
    created: Record | None = None
    updated: Record | None = None
    external: Record | None = None
    referrers: dict[tuple[str, str], dict[Record, None]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"{self.entity}:{self.id}"

    def get(self, name: str) -> Any:
        """Value of a property, None where it has none."""
        return self.values.get(name)


class Store:
    """All rows. Whoever reads or changes it holds `lock`."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._tables: dict[str, dict[int, Record]] = {}
        self._last: dict[str, int] = {}
        self._undo: list[Callable[[], None]] | None = None

    def find(self, entity: str, number: int | None) -> Record | None:
        """The row of that class with that id."""
        if number is None or not schema.is_entity(entity):
            return None
        record = self._tables.get(schema.table_of(entity), {}).get(int(number))
        return record if record is not None and schema.is_a(record.entity, entity) else None

    def all(self, entity: str) -> list[Record]:
        """Every row of the class and of its subclasses, oldest first."""
        rows = self._tables.get(schema.table_of(entity), {}).values()
        return [r for r in rows if schema.is_a(r.entity, entity)]

    def first(self, entity: str, **values: Any) -> Record | None:
        """The oldest row with these values."""
        return next((r for r in self.all(entity) if all(r.get(k) == v for k, v in values.items())), None)

    def collection(self, record: Record, name: str) -> list[Record]:
        """The rows of a collection, in the order in which they were added."""
        found = schema.fields(record.entity).get(name)
        if found is None or not found.inverse:
            return []
        rows = record.referrers.get((schema.table_of(found.target), found.inverse), {})
        return [r for r in rows if schema.is_a(r.entity, found.target)]

    def referring(self, record: Record) -> Iterator[tuple[Record, str]]:
        """Every row that points at this one, with the property that does."""
        for (_, name), rows in list(record.referrers.items()):
            for row in list(rows):
                yield row, name

    def add(
        self,
        entity: str,
        *,
        number: int | None = None,
        owner: Record | None = None,
        group: Record | None = None,
        event: Record | None = None,
        **values: Any,
    ) -> Record:
        """Inserts a row; `number` only for the rows that every server has from the start."""
        table = schema.table_of(entity)
        self._last[table] = max(self._last.get(table, 0), number if number is not None else 0)
        if number is None:
            self._last[table] += 1
            number = self._last[table]
        record = Record(entity, number, owner=owner, group=group, created=event, updated=event)
        rows = self._tables.setdefault(table, {})
        rows[number] = record
        self._on_failure(lambda: rows.pop(record.id))
        for name, value in values.items():
            self.set(record, name, value)
        return record

    def set(self, record: Record, name: str, value: Any) -> None:
        """Changes one property and what depends on it."""
        old = record.values.get(name)
        if old is value:
            return
        self._point(record, name, old, value)
        record.values[name] = value
        self._on_failure(lambda: self._put_back(record, name, old, value))

    def change(self, record: Record, attribute: str, value: Any) -> None:
        """Changes owner, group, events or external info."""
        old = getattr(record, attribute)
        setattr(record, attribute, value)
        self._on_failure(lambda: setattr(record, attribute, old))

    def remove(self, record: Record) -> None:
        """Deletes a row; those that point at it are the caller's business."""
        for name, value in list(record.values.items()):
            if isinstance(value, Record):
                self.set(record, name, None)
        rows = self._tables[schema.table_of(record.entity)]
        del rows[record.id]
        self._on_failure(lambda: rows.__setitem__(record.id, record))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing: an error inside undoes every change. Inside another one it is part of that."""
        with self.lock:
            if self._undo is not None:
                yield
                return
            self._undo = []
            try:
                yield
            except BaseException:
                undo, self._undo = self._undo, None
                for step in reversed(undo):
                    step()
                raise
            finally:
                self._undo = None

    def _put_back(self, record: Record, name: str, old: Any, new: Any) -> None:
        self._point(record, name, new, old)
        record.values[name] = old

    def _point(self, record: Record, name: str, old: Any, new: Any) -> None:
        key = (schema.table_of(record.entity), name)
        if isinstance(old, Record):
            old.referrers.get(key, {}).pop(record, None)
        if isinstance(new, Record):
            new.referrers.setdefault(key, {})[record] = None

    def _on_failure(self, step: Callable[[], None]) -> None:
        if self._undo is not None:
            self._undo.append(step)
