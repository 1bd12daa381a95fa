"""What a service knows about the call that it answers."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from omero_sim import access, errors
from omero_sim.records import Record
from omero_sim.sessions import MILLISECONDS, Session

if TYPE_CHECKING:
    from omero_sim.server import Server

# Clients cannot set headers that start so.
INNER = "sim."

# Set by the public gate for what the inner side cannot see: that this connection joined the session by its key, and
# that a test wants the next write refused.
JOINED = "sim.joined"
REFUSE = "sim.refuse"
WAIT = "sim.wait"


@dataclass
class Call:
    """One call.

    Attributes:
        server: The server.
        session: Whose call it is.
        headers: What the client sent along; `omero.group` overrides the group of the session.
        identity: Of the object that was called.
        adapter: Where servants live.
    """

    server: Server
    session: Session
    headers: dict[str, str]
    identity: Any
    adapter: Any

    @cached_property
    def context(self) -> access.Context:
        """On whose behalf it runs.

        Raises:
            omero.SecurityViolation: Another user, or a group that the user is not in.
            omero.ApiUsageException: There is no such group.
        """
        accounts, user = self.server.accounts, self.session.user
        wanted = self.headers.get("omero.user", "")
        if re.fullmatch(r"\d+", wanted) and int(wanted) != user.id:
            raise errors.security(f"User {user.id} is not authorized to act as user {wanted}")
        number = self.headers.get("omero.group", "")
        group = int(number) if re.fullmatch(r"-?\d+", number) else self.session.group.id
        if group < 0:
            return accounts.context(user, access.ALL_GROUPS)
        found = self.server.store.find("ExperimenterGroup", group)
        if found is None:
            raise errors.api_usage(f"No group with id {group}")
        if not accounts.may_enter(user, found) and not access.grants(found, access.WORLD_BITS, access.READ):
            raise errors.security(f"User {user.id} is not a member of group {group} and cannot login")
        return accounts.context(user, group)

    @property
    def joined(self) -> bool:
        """Whether the caller knows only the key of the session, not the password."""
        return JOINED in self.headers

    def event(self) -> Record:
        """A new event: what it writes was written then."""
        store = self.server.store
        return store.add(
            "Event",
            time=int(time.time() * MILLISECONDS),
            experimenter=self.session.user,
            experimenterGroup=store.find("ExperimenterGroup", max(self.context.group, 0)),
            session=self.session.record,
            type=store.first("EventType", value="User"),
        )

    def new(self, entity: str, event: Record, **values: Any) -> Record:
        """A row of the caller in the group of the call.

        Raises:
            omero.SecurityViolation: The call is in all groups at once.
        """
        if self.context.group == access.ALL_GROUPS:
            raise errors.security("Cannot create an object while the group is -1")
        group = self.server.store.find("ExperimenterGroup", self.context.group)
        return self.server.store.add(entity, owner=self.session.user, group=group, event=event, **values)

    def readable(self, entity: str, number: int) -> Record:
        """A row that the caller may read.

        Raises:
            omero.ValidationException: There is none.
            omero.SecurityViolation: The caller may not read it.
        """
        record = self.server.store.find(entity, number)
        if record is None:
            raise errors.invalid(f"No row with the given identifier exists: [{entity}#{number}]")
        if not access.can_read(record, self.context):
            raise errors.security(f"Cannot read {entity}:Id_{number}")
        return record
