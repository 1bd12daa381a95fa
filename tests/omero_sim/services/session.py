"""ISession: opening, closing and looking at sessions."""

from __future__ import annotations

from typing import Any

import Glacier2

from omero_sim.access import USER_GROUP
from omero_sim.calls import Call
from omero_sim.errors import api_usage, security
from omero_sim.services.base import Service
from omero_sim.services.query import load_with
from omero_sim.sessions import Session

WITH_DETAILS: dict[str, Any] = {"details.owner": {}, "details.group": {}, "owner": {}, "sudoer": {}}

# What `closeSession` answers when there is nothing left to close.
GONE = -2


class SessionService(Service):
    """Sessions; also for callers whose own session has ended."""

    locked = False

    def createSession(self, call: Call, principal: Any, password: str) -> Any:
        """A session by name and password."""
        try:
            session = self.server.sessions.login(principal.name, password, principal.group)
        except Glacier2.PermissionDeniedException as error:
            raise security(error.reason) from error
        return self._load(call, session)

    def createUserSession(self, call: Call, to_live: int, to_idle: int, group: str) -> Any:
        """Another session for the caller, who must have come with the password."""
        if call.joined or not self.session.password:
            raise security("Cannot create a session from one that was joined by its key")
        place = self.server.accounts.group_named(group) if group else self.session.group
        if place is None or not self.server.accounts.may_enter(self.session.user, place):
            raise security(f"User is not a member of group {group}")
        return self._open(call, self.session.user, place, to_live, to_idle, password=True)

    def createSessionWithTimeouts(self, call: Call, principal: Any, to_live: int, to_idle: int) -> Any:
        """A session for somebody else, for an administrator with the privilege `Sudo`."""
        if self.session.sudoer is not None:
            raise security("A session that was made by sudo cannot sudo again")
        if "Sudo" not in call.context.privileges:
            raise security("Admin restrictions: Sudo needed")
        user = self.server.accounts.user_named(principal.name)
        if user is None:
            raise api_usage(f"No such user: {principal.name}")
        accounts = self.server.accounts
        group = accounts.group_named(principal.group) if principal.group else accounts.default_group(user)
        if group is None or (group not in accounts.groups_of(user) and not accounts.may_enter(user, group)):
            raise security(f"User {principal.name} is not a member of group {principal.group} and cannot login")
        return self._open(call, user, group, to_live, to_idle, sudo=True)

    def createSessionWithTimeout(self, call: Call, principal: Any, to_live: int) -> Any:
        """As `createSessionWithTimeouts`, ending by age alone."""
        return self.createSessionWithTimeouts(call, principal, to_live, 0)

    def getSession(self, call: Call, key: str) -> Any:
        """The row of an open session."""
        return self._load(call, self._get(call, key))

    def getReferenceCount(self, call: Call, key: str) -> int:
        """How many hold a session."""
        return self._get(call, key).references

    def closeSession(self, call: Call, instance: Any) -> int:
        """Lets go of a session; answers how many still hold it, or that it is gone."""
        session = self.server.sessions.find(instance._uuid._val)
        if session is None:
            return GONE
        self._check(call, session)
        left = session.references - 1
        if left > 0:
            session.references = left
            return left
        self.server.sessions.kill(session)
        return GONE

    def getMyOpenSessions(self, call: Call) -> list[Any]:
        """The caller's sessions."""
        return [self._load(call, s) for s in self.server.sessions.all() if s.user is self.session.user]

    def getInput(self, call: Call, key: str, name: str) -> Any:
        """A value that was left for a script."""
        return self._get(call, key).inputs.get(name)

    def setInput(self, call: Call, key: str, name: str, value: Any) -> None:
        """Leaves a value for a script."""
        self._get(call, key).inputs[name] = value

    def getInputKeys(self, call: Call, key: str) -> list[str]:
        """Names of what was left for a script."""
        return list(self._get(call, key).inputs)

    def getInputs(self, call: Call, key: str) -> dict[str, Any]:
        """All that was left for a script."""
        return dict(self._get(call, key).inputs)

    def getOutput(self, call: Call, key: str, name: str) -> Any:
        """A value that a script left."""
        return self._get(call, key).outputs.get(name)

    def setOutput(self, call: Call, key: str, name: str, value: Any) -> None:
        """Leaves a result of a script."""
        self._get(call, key).outputs[name] = value

    def getOutputKeys(self, call: Call, key: str) -> list[str]:
        """Names of what a script left."""
        return list(self._get(call, key).outputs)

    def getOutputs(self, call: Call, key: str) -> dict[str, Any]:
        """All that a script left."""
        return dict(self._get(call, key).outputs)

    def _open(
        self,
        call: Call,
        user: Any,
        group: Any,
        to_live: int,
        to_idle: int,
        *,
        password: bool = False,
        sudo: bool = False,
    ) -> Any:
        session = self.server.sessions.create(
            user,
            group,
            password=password,
            sudoer=self.session.user if sudo else None,
            time_to_live=to_live,
            time_to_idle=to_idle,
        )
        return self._load(call, session)

    def _get(self, call: Call, key: str) -> Session:
        session = self.server.sessions.get(key)
        self._check(call, session)
        return session

    def _check(self, call: Call, session: Session) -> None:
        mine = session.user is self.session.user or session.sudoer is self.session.user
        if not mine and not self.server.accounts.context(self.session.user, USER_GROUP).admin:
            raise security(f"Not the session of user {self.session.user.id}")

    def _load(self, call: Call, session: Session) -> Any:
        with self.store.lock:
            return load_with(self, call, session.record, WITH_DETAILS)
