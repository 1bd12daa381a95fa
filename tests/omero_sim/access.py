"""Who sees and changes what: the rules of private, read-only, read-annotate and read-write groups."""

from __future__ import annotations

from dataclasses import dataclass

from omero_sim import schema
from omero_sim.records import Record

READ, WRITE, ANNOTATE = 4, 2, 1
USER_BITS, GROUP_BITS, WORLD_BITS = 8, 4, 0

SYSTEM_GROUP, USER_GROUP, GUEST_GROUP = 0, 1, 2
ROOT_USER, GUEST_USER = 0, 1
ALL_GROUPS = -1


@dataclass(frozen=True)
class Context:
    """On whose behalf a call runs.

    Attributes:
        user: Who.
        group: In which group, or `ALL_GROUPS`.
        member_of: Ids of the groups that the user belongs to.
        leader_of: Ids of those that the user owns.
        privileges: What an administrator may do besides reading; empty for everyone else.
        admin: Whether the user belongs to the system group.
    """

    user: int
    group: int
    member_of: frozenset[int]
    leader_of: frozenset[int]
    privileges: frozenset[str]
    admin: bool


def grants(group: Record, bits: int, right: int) -> bool:
    """Whether the mode of a group gives a right to its owner, members or everyone."""
    return bool(int(group.get("permissions") or 0) & (right << bits))


def can_read(record: Record, context: Context) -> bool:
    """Whether a query in this context finds the row."""
    if schema.is_global(record.entity) or record.group is None:
        return True
    group = record.group.id
    if group == USER_GROUP:
        return True
    if context.group not in (ALL_GROUPS, group):
        return False
    if context.admin or group in context.leader_of or _owns(record, context):
        return True
    if group in context.member_of:
        return grants(record.group, GROUP_BITS, READ)
    return grants(record.group, WORLD_BITS, READ)


def can_edit(record: Record, context: Context) -> bool:
    """Whether properties of the row may be changed."""
    return _may(record, context, WRITE, "WriteOwned")


def can_delete(record: Record, context: Context) -> bool:
    """Whether the row may be deleted."""
    return _may(record, context, WRITE, "DeleteOwned")


def can_link(record: Record, context: Context) -> bool:
    """Whether the row may be put into a container, or be one."""
    return _may(record, context, WRITE, "WriteOwned")


def can_annotate(record: Record, context: Context) -> bool:
    """Whether annotations and ROIs may be attached to the row."""
    return _may(record, context, ANNOTATE, "WriteOwned") or _may(record, context, WRITE, "WriteOwned")


def restrictions(record: Record, context: Context) -> list[bool]:
    """What is NOT allowed, in the order of the wire protocol: link, edit, delete, annotate."""
    if record.group is None:
        return [not context.admin] * 4
    checks = (can_link, can_edit, can_delete, can_annotate)
    return [not check(record, context) for check in checks]


def _owns(record: Record, context: Context) -> bool:
    return record.owner is not None and record.owner.id == context.user


def _may(record: Record, context: Context, right: int, privilege: str) -> bool:
    if record.group is None or schema.is_global(record.entity):
        return context.admin
    if _owns(record, context) or record.group.id in context.leader_of or privilege in context.privileges:
        return True
    return record.group.id in context.member_of and grants(record.group, GROUP_BITS, right)
