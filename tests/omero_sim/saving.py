"""Writes a client's graph of objects into the database as the real server merges it, dangers included.

What a loaded object holds replaces what is stored: a property that is None becomes null, and members of a loaded
collection that are missing from it are DELETED. An unloaded object (an id only) is a reference and changes nothing.
"""

from __future__ import annotations

from typing import Any

from omero_sim import schema
from omero_sim.access import ALL_GROUPS, Context, can_edit
from omero_sim.checks import check_new, check_values
from omero_sim.deleting import Deletion, Options
from omero_sim.errors import api_usage, internal, invalid, security
from omero_sim.loading import DETAILS, Fetched
from omero_sim.records import Record, Store
from omero_sim.values import entity_of, from_wire


class Saver:
    """Saves graphs within one transaction and one event."""

    def __init__(self, store: Store, context: Context, event: Record) -> None:
        self._store = store
        self._context = context
        self._event = event
        self._done: dict[int, Record] = {}
        self._new: list[Record] = []
        self._sent: list[Any] = []

    def save(self, instance: Any) -> Record:
        """Saves one graph; the rows that it made are checked once all of it is there.

        Raises:
            omero.SecurityViolation, omero.ValidationException, omero.ApiUsageException: As the real server refuses it.
        """
        if instance is None:
            raise api_usage("IObject argument cannot be null")
        if self._context.group == ALL_GROUPS:
            _refuse_all_groups(instance)
        record = self._merge(instance)
        for new in self._new:
            check_new(self._store, new, self._context)
        self._new.clear()
        return record

    def loaded(self) -> Fetched:
        """What the answer has loaded: all that the client sent loaded, links and details too."""
        fetched = Fetched()
        for instance in self._sent:
            record = self._done[id(instance)]
            fetched.references |= {(record, f"details.{name}") for name in DETAILS}
            for found in schema.fields(record.entity).values():
                if found.kind == "collection" and getattr(instance, f"_{found.name}Loaded", False):
                    fetched.collections[record, found.name] = self._store.collection(record, found.name)
                elif found.kind == "entity":
                    value = getattr(instance, f"_{found.name}", None)
                    if value is not None and value._loaded:
                        fetched.references.add((record, found.name))
        return fetched

    def _merge(self, instance: Any) -> Record:
        if id(instance) in self._done:
            return self._done[id(instance)]
        entity = entity_of(instance)
        number = instance._id._val if instance._id is not None else None
        if number is not None:
            record = self._store.find(entity, number)
            if record is None:
                raise invalid(f"No row with the given identifier exists: [ome.model.{entity}#{number}]")
            self._remember(instance, record)
            if instance._loaded and not schema.is_global(entity):
                self._sent.append(instance)
                self._update(instance, record)
            return record
        return self._insert(instance, entity)

    def _insert(self, instance: Any, entity: str) -> Record:
        if not instance._loaded:
            raise api_usage(f"Cannot save an unloaded object without an id: {entity}")
        if schema.is_enumeration(entity):
            return self._enumeration(instance, entity)
        if schema.is_global(entity) and not self._context.admin:
            raise security(f"{entity} is a system type and cannot be created by this user")
        self._check_details(instance, entity)
        owner = self._store.find("Experimenter", self._context.user)
        group = self._store.find("ExperimenterGroup", self._context.group)
        record = self._store.add(entity, owner=owner, group=group, event=self._event)
        self._remember(instance, record)
        self._sent.append(instance)
        self._new.append(record)
        self._write(instance, record)
        self._write_external(instance, record)
        return record

    def _write_external(self, instance: Any, record: Record) -> bool:
        """What lies outside of OMERO: told of an object once, also of one that exists."""
        external = instance._details._externalInfo if instance._details is not None else None
        if external is None or record.external is not None:
            return False
        self._store.change(record, "external", self._merge(external))
        return True

    def _enumeration(self, instance: Any, entity: str) -> Record:
        value = instance._value._val if instance._value is not None else None
        record = self._store.first(entity, value=value)
        if record is None:
            raise invalid(f"Unknown {entity}: {value}")
        self._remember(instance, record)
        return record

    def _check_details(self, instance: Any, entity: str) -> None:
        details = instance._details
        owner = details._owner._id._val if details is not None and details._owner is not None else self._context.user
        if owner != self._context.user and "WriteOwned" not in self._context.privileges:
            raise security(f"You are not authorized to set the ExperimenterID for {entity} to {owner}")
        group = details._group._id._val if details is not None and details._group is not None else self._context.group
        if group != self._context.group:
            raise security(f"You are not authorized to set the ExperimenterGroupID for {entity} to {group}")

    def _update(self, instance: Any, record: Record) -> None:
        event = instance._details._updateEvent if instance._details is not None else None
        if event is not None and record.updated is not None and event._id._val != record.updated.id:
            raise security(f"You are not authorized to change the update event for {record.entity}(id={record.id})")
        changed = self._write(instance, record)
        if not self._write_external(instance, record) and not changed:
            return
        if not can_edit(record, self._context):
            raise security(f"Updating {record.entity}(id={record.id}) not permitted")
        self._store.change(record, "updated", self._event)

    def _write(self, instance: Any, record: Record) -> bool:
        """Copies what the object holds; True when it changes a row that was there."""
        changed = False
        for found in schema.fields(record.entity).values():
            if found.kind == "collection":
                changed |= self._members(instance, record, found)
                continue
            sent = getattr(instance, f"_{found.name}")
            if found.kind == "entity":
                value: Any = self._merge(sent) if sent is not None else None
            else:
                try:
                    value = from_wire(found, sent)
                except TypeError as error:
                    raise internal(str(error), "ClassCastException") from error
            if value is not record.get(found.name) and value != record.get(found.name):
                check_values(record, found, value)
                self._store.set(record, found.name, value)
                changed = True
        return changed

    def _members(self, instance: Any, record: Record, found: schema.Field) -> bool:
        if not getattr(instance, f"_{found.name}Loaded", False):
            return False
        sent = [m for m in getattr(instance, f"_{found.name}Seq") or () if m is not None]
        kept = set()
        for member in sent:
            row = self._merge(member)
            kept.add(row)
            if row.get(found.inverse) is not record:
                self._store.set(row, found.inverse, record)
        missing = [r for r in self._store.collection(record, found.name) if r not in kept]
        if missing:
            Deletion(self._store, self._context, Options()).plan(missing, check=False).carry_out()
        return bool(missing)

    def _remember(self, instance: Any, record: Record) -> None:
        self._done[id(instance)] = record


def _refuse_all_groups(instance: Any) -> None:
    entity = entity_of(instance)
    if instance._id is not None:
        raise api_usage("Cannot update an object while the group is -1")
    if entity == "Roi" or schema.is_link(entity):
        raise security("Group is ------: not authorized to link")
    raise security("Cannot create an object while the group is -1")
