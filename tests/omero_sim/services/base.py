"""What all services have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omero_sim.calls import Call
    from omero_sim.server import Server
    from omero_sim.sessions import Session


class Service:
    """Answers the calls of one session to one interface. Methods have the names that the interface gives them.

    Attributes:
        exclusive: Whether a second call at the same time is refused, as stateful services do.
        locked: Whether the database is locked during a call.
        open_to_closed: Whether a session that has ended may still call.
    """

    exclusive = False
    locked = True
    open_to_closed = False

    def __init__(self, server: Server, session: Session) -> None:
        self.server = server
        self.session = session
        self.store = server.store


class StatefulService(Service):
    """A service that belongs to one user of it and is closed in the end."""

    exclusive = True

    def close(self, call: Call) -> None:
        """Ends it."""
        self.server.forget(self.session, call.identity)
