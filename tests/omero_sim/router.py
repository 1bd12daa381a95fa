"""The door of the server, which a Glacier2 router is at a real one: clients see nothing but this.

A client logs in here, and all its later calls come through here. Calls are handed to an inner adapter if, and only if,
the connection has a session and the object is of that session. Calls back to the client go out on its own connection.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

import Glacier2
import Ice

from omero_sim.calls import INNER, JOINED, REFUSE, WAIT
from omero_sim.sessions import Session

if TYPE_CHECKING:
    from omero_sim.server import Server

log = logging.getLogger(__name__)

CALLBACKS = "ProcessCallback"
ROUTER = "OMERO.Glacier2/router"
SESSION_TIMEOUT_SECONDS = 600

# Operations that concern the connection, which the inner side does not see.
DETACHING = {"detachOnDestroy": True, "closeOnDestroy": False}


class Connections:
    """Which connection has which session."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._sessions: dict[str, tuple[Session, bool]] = {}
        self._open: dict[str, Any] = {}
        self._detached: set[str] = set()

    @staticmethod
    def key(connection: Any) -> str:
        """What tells a connection from all others."""
        info = connection.getInfo()
        return f"{info.remoteAddress}:{info.remotePort}"

    def enter(self, connection: Any, session: Session, joined: bool) -> None:
        """The connection has logged in."""
        key = self.key(connection)
        with self._lock:
            self._sessions[key] = session, joined
            self._open[key] = connection
        connection.setCallback(_Closed(self, key))

    def detach(self, connection: Any, detached: bool) -> None:
        """Whether the session stays open when this connection leaves or is lost."""
        with self._lock:
            (self._detached.add if detached else self._detached.discard)(self.key(connection))

    def session(self, connection: Any) -> tuple[Session, bool] | None:
        """Session of the connection, and whether it was joined by its key."""
        with self._lock:
            return self._sessions.get(self.key(connection))

    def leave(self, key: str, *, lost: bool) -> bool:
        """The connection has no session any more; False when it had none."""
        with self._lock:
            found = self._sessions.pop(key, None)
            detached = key in self._detached
            self._detached.discard(key)
            if lost:
                self._open.pop(key, None)
        if found is None:
            return False
        self._server.sessions.release(found[0], close=not detached)
        return True

    def close_all(self) -> None:
        """Drops every connection, as a restart does."""
        with self._lock:
            connections = list(self._open.values())
        for connection in connections:
            connection.close(True)


class _Closed(Ice.ConnectionCallback):  # type: ignore[misc]
    """Told by Ice when a connection ends without a goodbye."""

    def __init__(self, connections: Connections, key: str) -> None:
        self._connections = connections
        self._key = key

    def heartbeat(self, connection: Any) -> None:
        """Nothing to do: the client lives."""

    def closed(self, connection: Any) -> None:
        """The client is gone."""
        self._connections.leave(self._key, lost=True)


class Router(Glacier2.Router):  # type: ignore[misc]
    """Logs clients in and out."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._categories: set[str] = set()

    def getClientProxy(self, current: Any) -> Any:
        """Nothing: the client goes on using the address that it has."""
        return

    def getServerProxy(self, current: Any) -> Any:
        """Any proxy: without one a client cannot offer callbacks."""
        return self._server.inner.createProxy(Ice.stringToIdentity("callbacks"))

    def getCategoryForClient(self, current: Any) -> str:
        """Category of the objects that live in the client."""
        connection = current.con
        category = f"client-{self._server.connections.key(connection)}"
        if category not in self._categories:
            self._categories.add(category)
            self._server.inner.addDefaultServant(_Backwards(connection), category)
        return category

    def addProxies(self, proxies: Any, current: Any) -> list[Any]:
        """Nothing has to be remembered."""
        return []

    def createSession_async(self, callback: Any, name: str, password: str, current: Any) -> None:
        """Logs in by name and password, or with the key of a session in place of both."""
        try:
            session = self._server.sessions.login(name, password, current.ctx.get("omero.group"))
            self._server.connections.enter(current.con, session, joined=name == session.uuid)
            callback.ice_response(Glacier2.SessionPrx.uncheckedCast(self._server.factory(session)))
        except Exception as error:
            callback.ice_exception(error)

    def destroySession(self, current: Any) -> None:
        """Logs out."""
        if not self._server.connections.leave(self._server.connections.key(current.con), lost=False):
            raise Glacier2.SessionNotExistException()

    def refreshSession_async(self, callback: Any, current: Any) -> None:
        """The client lives."""
        callback.ice_response()

    def getSessionTimeout(self, current: Any) -> int:
        """Seconds after which a silent client is taken for dead."""
        return SESSION_TIMEOUT_SECONDS

    def getACMTimeout(self, current: Any) -> int:
        """Seconds between two signs of life."""
        return SESSION_TIMEOUT_SECONDS // 10


class _Backwards(Ice.Blobject):  # type: ignore[misc]
    """Hands calls for an object in a client to the connection of that client."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def ice_invoke(self, parameters: Any, current: Any) -> Any:
        """One call."""
        proxy = self._connection.createProxy(current.id)
        return proxy.ice_invoke(current.operation, current.mode, parameters, current.ctx)


class Gate(Ice.Blobject):  # type: ignore[misc]
    """Hands calls of clients to the inner adapter, or lets them fail as a test ordered."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def ice_invoke(self, parameters: Any, current: Any) -> Any:
        """One call."""
        found = self._server.connections.session(current.con)
        if found is None:
            raise Ice.ObjectNotExistException()
        session, joined = found
        if session.state == "killed" or current.id.category not in (session.category, CALLBACKS):
            raise Ice.ObjectNotExistException()
        headers = {k: v for k, v in current.ctx.items() if not k.startswith(INNER)}
        if joined:
            headers[JOINED] = "1"
        if current.operation in DETACHING:
            self._server.connections.detach(current.con, DETACHING[current.operation])
        operation = self._server.name_of(current.id, current.operation)
        if not current.operation.startswith("ice_"):
            self._server.ledger.operation(operation)
        faults = self._server.faults.at(operation)
        for fault in faults:
            if fault.kind == "drop":
                current.con.close(True)
                raise Ice.ObjectNotExistException()
            if fault.kind == "slow":
                time.sleep(fault.seconds)
            elif fault.kind == "slow inside":
                headers[WAIT] = str(fault.seconds)
            elif fault.kind == "expire":
                self._server.sessions.expire(session)
            elif fault.kind == "kill":
                self._server.sessions.kill(session)
            elif fault.kind == "refuse":
                headers[REFUSE] = "1"
        proxy = self._server.inner.createProxy(current.id).ice_facet(current.facet)
        answer = proxy.ice_invoke(current.operation, current.mode, parameters, headers)
        if any(fault.kind == "drop after" for fault in faults):
            current.con.close(True)
        return answer


def unique_name(interface: Any) -> str:
    """Name for a new object of an interface, in the form that clients take apart."""
    return str(uuid.uuid4()) + str(interface.ice_staticId()).replace("::", ".")
