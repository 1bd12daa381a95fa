"""Users, groups and privileges, and the rows that every server has from the start."""

from __future__ import annotations

import omero.model

from omero_sim.access import GUEST_GROUP, GUEST_USER, ROOT_USER, SYSTEM_GROUP, USER_GROUP, Context
from omero_sim.records import Record, Store

PRIVILEGES = frozenset(
    [
        "Chgrp",
        "Chown",
        "DeleteFile",
        "DeleteManagedRepo",
        "DeleteOwned",
        "DeleteScriptRepo",
        "ModifyGroup",
        "ModifyGroupMembership",
        "ModifyUser",
        "ReadSession",
        "Sudo",
        "WriteFile",
        "WriteManagedRepo",
        "WriteOwned",
        "WriteScriptRepo",
    ]
)

ENUMERATIONS = {
    "AcquisitionMode": "WideField LaserScanningConfocalMicroscopy Other Unknown",
    "AdminPrivilege": " ".join(sorted(PRIVILEGES)),
    "ChecksumAlgorithm": "SHA1-160 MD5-128 Adler-32 CRC-32 File-Size-64 Murmur3-32 Murmur3-128",
    "ContrastMethod": "Fluorescence Brightfield Other Unknown",
    "DimensionOrder": "XYZCT XYZTC XYCTZ XYCZT XYTCZ XYTZC",
    "EventType": "User Internal Bootstrap Sessions",
    "Family": "linear polynomial exponential logarithmic",
    "Format": "OMERO.tables text/plain text/csv image/png Companion/OME-TIFF ZarrReader",
    "Illumination": "Epifluorescence Transmitted Other Unknown",
    "JobStatus": "Submitted Resubmitted Queued Requeued Running Error Waiting Finished Cancelled",
    "PhotometricInterpretation": "Monochrome RGB",
    "PixelsType": "int8 uint8 int16 uint16 int32 uint32 float double bit complex double-complex",
    "RenderingModel": "rgb greyscale",
}
PUBLIC_MODE = "rwr-r-"


class Accounts:
    """Who there is on a server.

    Args:
        store: An empty database; the rows of a new installation are put into it.
        root_password: Password of the administrator.
    """

    def __init__(self, store: Store, root_password: str) -> None:
        self._store = store
        self._passwords: dict[str, str] = {}
        self._privileges: dict[int, frozenset[str]] = {}
        for entity, values in ENUMERATIONS.items():
            for value in values.split():
                store.add(entity, value=value)
        store.add("Node", conn="local", uuid="node", version=1)
        for number, name in ((SYSTEM_GROUP, "system"), (USER_GROUP, "user"), (GUEST_GROUP, "guest")):
            store.add("ExperimenterGroup", number=number, name=name, ldap=False, permissions=mode_of(PUBLIC_MODE))
        root = store.add(
            "Experimenter", number=ROOT_USER, omeName="root", firstName="root", lastName="root", ldap=False
        )
        store.add("Experimenter", number=GUEST_USER, omeName="guest", firstName="Guest", lastName="Account", ldap=False)
        for group in (SYSTEM_GROUP, USER_GROUP):
            self.add_member(root, self._group(group))
        self._passwords["root"] = root_password
        self._privileges[ROOT_USER] = PRIVILEGES

    def add_group(self, name: str, mode: int) -> Record:
        """A new group; `mode` as the integer of the wire."""
        return self._store.add("ExperimenterGroup", name=name, ldap=False, permissions=mode)

    def add_user(self, name: str, first: str, last: str, password: str, groups: list[Record]) -> Record:
        """A new user whose default group is the first one."""
        user = self._store.add("Experimenter", omeName=name, firstName=first, lastName=last, ldap=False)
        everyone = self._group(USER_GROUP)
        for group in [*groups, *([] if everyone in groups else [everyone])]:
            self.add_member(user, group)
        self._passwords[name] = password
        return user

    def add_member(self, user: Record, group: Record, *, leads: bool = False) -> Record:
        """Puts a user into a group."""
        member = self._store.add("GroupExperimenterMap", parent=group, child=user)
        # The column has the name that whoever owns a row has too.
        self._store.set(member, "owner", leads)
        return member

    def grant(self, user: Record, privileges: frozenset[str]) -> None:
        """What an administrator may do besides reading."""
        self._privileges[user.id] = privileges

    def privileges(self, user: Record) -> frozenset[str]:
        """What an administrator may do besides reading; nothing for other users."""
        return self._privileges.get(user.id, frozenset())

    def set_password(self, user: Record, password: str) -> None:
        """Changes a password."""
        self._passwords[user.get("omeName")] = password

    def authenticate(self, name: str, password: str) -> Record | None:
        """The user with that name and password."""
        if name not in self._passwords or self._passwords[name] != password:
            return None
        return self.user_named(name)

    def user_named(self, name: str) -> Record | None:
        """The user with that login name."""
        return self._store.first("Experimenter", omeName=name)

    def group_named(self, name: str) -> Record | None:
        """The group with that name, or with that number."""
        found = self._store.first("ExperimenterGroup", name=name)
        return found or (self._store.find("ExperimenterGroup", int(name)) if name.isdigit() else None)

    def memberships(self, user: Record) -> list[Record]:
        """The rows that put a user into groups, the default group first."""
        return [m for m in self._store.all("GroupExperimenterMap") if m.get("child") is user]

    def groups_of(self, user: Record) -> list[Record]:
        """The groups of a user, the default one first."""
        return [m.get("parent") for m in self.memberships(user)]

    def default_group(self, user: Record) -> Record:
        """The group that a login is in when it names none."""
        groups = self.groups_of(user)
        return next((g for g in groups if g.id != USER_GROUP), groups[0])

    def may_enter(self, user: Record, group: Record) -> bool:
        """Whether a session of the user may be in the group."""
        groups = self.groups_of(user)
        return group in groups or self._group(SYSTEM_GROUP) in groups

    def context(self, user: Record, group: int) -> Context:
        """On whose behalf a call runs."""
        members = self.memberships(user)
        ids = frozenset(m.get("parent").id for m in members)
        leads = frozenset(m.get("parent").id for m in members if m.get("owner"))
        admin = SYSTEM_GROUP in ids
        return Context(user.id, group, ids, leads, self.privileges(user) if admin else frozenset(), admin)

    def _group(self, number: int) -> Record:
        found = self._store.find("ExperimenterGroup", number)
        if found is None:
            raise LookupError(f"no group {number}")
        return found


def mode_of(text: str) -> int:
    """The integer that stands for permissions written as `rwra--`."""
    return int(omero.model.PermissionsI(text)._perm1)
