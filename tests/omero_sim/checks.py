"""What the database and the security system ask of rows that are written."""

from __future__ import annotations

from typing import Any

from omero_sim import schema
from omero_sim.access import USER_GROUP, Context, can_annotate, can_link, can_read
from omero_sim.errors import invalid, security, wrong_group
from omero_sim.records import Quantity, Record, Store

# Columns whose domain in the database is "positive".
POSITIVE = {
    ("Pixels", name)
    for name in ("sizeX", "sizeY", "sizeZ", "sizeC", "sizeT", "physicalSizeX", "physicalSizeY", "physicalSizeZ")
}


def check_values(record: Record, found: schema.Field, value: Any) -> None:
    """A value for a column.

    Raises:
        omero.ValidationException: The database would not take it.
    """
    column = f"ome.model.{record.entity}.{found.name}"
    if value is None:
        if found.required:
            raise invalid(f"not-null property references a null or transient value: {column}")
        return
    for text in (
        (value,) if isinstance(value, str) else (t for pair in value for t in pair) if isinstance(value, tuple) else ()
    ):
        if text is not None and "\0" in text:
            raise invalid(f'invalid byte sequence for encoding "UTF8": 0x00 in {column}')
    number = value.value if isinstance(value, Quantity) else value
    if (record.entity, found.name) in POSITIVE and number <= 0:
        raise invalid(f"{column}: value for domain positive violates check constraint: {number}")


def check_new(store: Store, record: Record, context: Context) -> None:
    """A row with all that it points at.

    Raises:
        omero.ValidationException: A column is null, a link exists already.
        omero.SecurityViolation: The user may not join these objects.
        omero.GroupSecurityViolation: They belong to different groups.
    """
    for found in schema.fields(record.entity).values():
        value = record.get(found.name)
        if found.required and value is None and found.kind != "collection":
            check_values(record, found, None)
        if isinstance(value, Record) and not schema.is_global(value.entity):
            _check_reference(record, found, value, context)
    if schema.is_link(record.entity):
        _check_unique(store, record)


def _check_reference(record: Record, found: schema.Field, value: Record, context: Context) -> None:
    if value.group is not record.group and (value.group is None or value.group.id != USER_GROUP):
        if not can_read(value, context):
            raise security(f"Cannot read {value.entity}(id={value.id})")
        raise wrong_group(f"MIXED GROUP: {record.entity} and {value.entity}(id={value.id})")
    if value.owner is record.owner and record.owner is not None and record.owner.id == context.user:
        return
    if not can_read(value, context):
        raise security(f"Cannot read {value.entity}(id={value.id})")
    annotates = record.entity.endswith("AnnotationLink") or (record.entity, found.name) == ("Roi", "image")
    allowed = can_annotate(value, context) if annotates else can_link(value, context)
    if not allowed:
        mode = "annotate" if annotates else "link"
        raise security(f"Cannot {mode} {value.entity}(id={value.id}): not permitted")


def _check_unique(store: Store, record: Record) -> None:
    parent = record.get("parent")
    for other in parent.referrers.get((schema.table_of(record.entity), "parent"), {}):
        same = (
            other.entity == record.entity and other.get("child") is record.get("child") and other.owner is record.owner
        )
        if same and other is not record:
            raise invalid(
                f"could not insert: [ome.model.{record.entity}]; duplicate key value violates unique constraint"
                " (parent, child, owner_id)"
            )
