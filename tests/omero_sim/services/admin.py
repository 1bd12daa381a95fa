"""IAdmin: users, groups and who the caller is."""

from __future__ import annotations

from typing import Any

import omero
import omero.model

from omero_sim.access import GUEST_GROUP, GUEST_USER, ROOT_USER, SYSTEM_GROUP, USER_GROUP, can_edit
from omero_sim.accounts import PRIVILEGES
from omero_sim.calls import Call
from omero_sim.errors import api_usage, security
from omero_sim.records import Record
from omero_sim.services.base import Service
from omero_sim.services.query import load_with
from omero_sim.values import entity_of

WITH_GROUPS: dict[str, Any] = {"groupExperimenterMap": {"parent": {"groupExperimenterMap": {"child": {}}}, "child": {}}}
WITH_USERS: dict[str, Any] = {"groupExperimenterMap": {"parent": {}, "child": {"groupExperimenterMap": {"parent": {}}}}}


class AdminService(Service):
    """Answers about users and groups, and makes them for administrators."""

    def getEventContext(self, call: Call) -> Any:
        """Who the caller is."""
        context, session = call.context, self.session
        answer = omero.sys.EventContext()
        group = self.store.find("ExperimenterGroup", context.group) if context.group >= 0 else session.group
        answer.shareId, answer.sessionId, answer.sessionUuid = -1, session.record.id, session.uuid
        answer.userId, answer.userName = context.user, session.user.get("omeName")
        answer.groupId, answer.groupName = context.group, group.get("name") if group else ""
        answer.sudoerId = answer.sudoerName = None
        if session.sudoer is not None:
            answer.sudoerId = omero.rtypes.rlong(session.sudoer.id)
            answer.sudoerName = omero.rtypes.rstring(session.sudoer.get("omeName"))
        answer.isAdmin, answer.adminPrivileges = context.admin, sorted(context.privileges)
        answer.eventId, answer.eventType = -1, "User"
        answer.memberOfGroups, answer.leaderOfGroups = sorted(context.member_of), sorted(context.leader_of)
        answer.groupPermissions = omero.model.PermissionsI(group.get("permissions") if group else -1)
        return answer

    def getSecurityRoles(self, call: Call) -> Any:
        """Ids and names that every server has."""
        roles = omero.sys.Roles()
        roles.rootId, roles.rootName = ROOT_USER, "root"
        roles.guestId, roles.guestName = GUEST_USER, "guest"
        roles.systemGroupId, roles.systemGroupName = SYSTEM_GROUP, "system"
        roles.userGroupId, roles.userGroupName = USER_GROUP, "user"
        roles.guestGroupId, roles.guestGroupName = GUEST_GROUP, "guest"
        return roles

    def getExperimenter(self, call: Call, number: int) -> Any:
        """A user with groups."""
        return load_with(self, call, call.readable("Experimenter", number), WITH_GROUPS)

    def lookupExperimenter(self, call: Call, name: str) -> Any:
        """A user by name."""
        found = self.server.accounts.user_named(name)
        if found is None:
            raise api_usage(f"No such experimenter: {name}")
        return load_with(self, call, found, WITH_GROUPS)

    def lookupExperimenters(self, call: Call) -> list[Any]:
        """Every user."""
        return [load_with(self, call, r, WITH_GROUPS) for r in self.store.all("Experimenter")]

    def getGroup(self, call: Call, number: int) -> Any:
        """A group with users."""
        return load_with(self, call, call.readable("ExperimenterGroup", number), WITH_USERS)

    def lookupGroup(self, call: Call, name: str) -> Any:
        """A group by name."""
        found = self.store.first("ExperimenterGroup", name=name)
        if found is None:
            raise api_usage(f"No such group: {name}")
        return load_with(self, call, found, WITH_USERS)

    def lookupGroups(self, call: Call) -> list[Any]:
        """Every group."""
        return [load_with(self, call, r, WITH_USERS) for r in self.store.all("ExperimenterGroup")]

    def containedExperimenters(self, call: Call, group: int) -> list[Any]:
        """The users of a group."""
        members = [m.get("child") for m in self.store.all("GroupExperimenterMap") if m.get("parent").id == group]
        return [load_with(self, call, user, WITH_GROUPS) for user in members]

    def containedGroups(self, call: Call, user: int) -> list[Any]:
        """The groups of a user."""
        groups = self.server.accounts.groups_of(call.readable("Experimenter", user))
        return [load_with(self, call, group, WITH_USERS) for group in groups]

    def getDefaultGroup(self, call: Call, user: int) -> Any:
        """The group that a login is in when it names none."""
        group = self.server.accounts.default_group(call.readable("Experimenter", user))
        return load_with(self, call, group, {})

    def getMemberOfGroupIds(self, call: Call, user: Any) -> list[int]:
        """Ids of the groups of a user."""
        found = call.readable("Experimenter", user._id._val)
        return [g.id for g in self.server.accounts.groups_of(found)]

    def getLeaderOfGroupIds(self, call: Call, user: Any) -> list[int]:
        """Ids of the groups that a user owns."""
        found = call.readable("Experimenter", user._id._val)
        return [m.get("parent").id for m in self.server.accounts.memberships(found) if m.get("owner")]

    def canUpdate(self, call: Call, instance: Any) -> bool:
        """Whether the caller may change an object."""
        return can_edit(call.readable(entity_of(instance), instance._id._val), call.context)

    def getCurrentAdminPrivileges(self, call: Call) -> list[Any]:
        """What the caller may do as an administrator."""
        return self._privileges(call, call.context.privileges)

    def getAdminPrivileges(self, call: Call, user: Any) -> list[Any]:
        """What a user may do as an administrator."""
        found = call.readable("Experimenter", user._id._val)
        return self._privileges(call, self.server.accounts.context(found, USER_GROUP).privileges)

    def getMyUserPhotos(self, call: Call) -> list[Any]:
        """None: nobody has one here."""
        return []

    def createGroup(self, call: Call, group: Any) -> int:
        """A new group, private unless its details say otherwise."""
        self._require(call, "ModifyGroup")
        mode = omero.model.PermissionsI("rw----")._perm1
        if group._details is not None and group._details._permissions is not None:
            mode = group._details._permissions._perm1
        if self.store.first("ExperimenterGroup", name=group._name._val) is not None:
            raise omero.ValidationException(None, None, f"group {group._name._val} exists")
        return self.server.accounts.add_group(group._name._val, mode).id

    def createExperimenterWithPassword(self, call: Call, user: Any, password: Any, default: Any, others: Any) -> int:
        """A new user."""
        self._require(call, "ModifyUser")
        return self._user(call, user, password, [default, *(others or [])]).id

    def createRestrictedSystemUserWithPassword(self, call: Call, user: Any, privileges: Any, password: Any) -> int:
        """A new administrator who may do only what `privileges` name."""
        self._require(call, "ModifyUser")
        found = self._user(call, user, password, [omero.model.ExperimenterGroupI(SYSTEM_GROUP, False)])
        granted = frozenset(p._value._val for p in privileges or [])
        if not granted <= PRIVILEGES:
            raise api_usage(f"Unknown privileges: {sorted(granted - PRIVILEGES)}")
        self.server.accounts.grant(found, granted)
        return found.id

    def addGroups(self, call: Call, user: Any, groups: Any) -> None:
        """Puts a user into groups."""
        self._require(call, "ModifyGroupMembership")
        found = call.readable("Experimenter", user._id._val)
        for group in groups:
            self.server.accounts.add_member(found, call.readable("ExperimenterGroup", group._id._val))

    def setGroupOwner(self, call: Call, group: Any, user: Any) -> None:
        """Makes a user an owner of a group."""
        self._require(call, "ModifyGroupMembership")
        for member in self.store.all("GroupExperimenterMap"):
            if member.get("parent").id == group._id._val and member.get("child").id == user._id._val:
                self.store.set(member, "owner", True)

    def changePassword(self, call: Call, password: Any) -> None:
        """A new password for the caller, who must have come with the old one."""
        if call.joined or not self.session.password:
            raise security("Bad authentication credentials for this action")
        self.server.accounts.set_password(self.session.user, password._val)

    def _user(self, call: Call, user: Any, password: Any, groups: list[Any]) -> Record:
        if self.server.accounts.user_named(user._omeName._val) is not None:
            raise omero.ValidationException(None, None, f"user {user._omeName._val} exists")
        rows = [call.readable("ExperimenterGroup", g._id._val) for g in groups]
        first, last = user._firstName._val, user._lastName._val
        return self.server.accounts.add_user(user._omeName._val, first, last, password._val, rows)

    def _privileges(self, call: Call, names: frozenset[str]) -> list[Any]:
        return [load_with(self, call, r, {}) for r in self.store.all("AdminPrivilege") if r.get("value") in names]

    def _require(self, call: Call, privilege: str) -> None:
        if privilege not in call.context.privileges:
            raise security(f"Admin restrictions: {privilege} needed")
