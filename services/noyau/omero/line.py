"""One connection to an OMERO server that has joined a session. Used by one thread at a time."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import Any

from noyau.omero.bindings import omero_library
from noyau.omero.server import CALL_SECONDS, OmeroServer

AGENT = "noyau"


class Line:
    """A connection with the stateful services that were opened on it.

    Attributes:
        client: `omero.client`, connected.
        call_seconds: longest time for one call.
        uuid: of the session.
    """

    def __init__(self, client: Any, *, leave: bool, call_seconds: float = CALL_SECONDS) -> None:
        """See the class.

        Args:
            client: connected.
            leave: the session is somebody else's: closing this connection must not end it.
            call_seconds: longest time for one call.
        """
        self.client = client
        self.call_seconds = call_seconds
        self.uuid: str = client.getSessionId()
        self._stores: dict[tuple[int, int], Any] = {}
        if leave:
            self.factory.detachOnDestroy()

    @property
    def factory(self) -> Any:
        """The ServiceFactory."""
        return self.client.getSession()

    # Each of these is a call to the server, and the stateless services stay the same as long as the connection lives.

    @cached_property
    def query(self) -> Any:
        """IQuery."""
        return self.factory.getQueryService()

    @cached_property
    def update(self) -> Any:
        """IUpdate."""
        return self.factory.getUpdateService()

    @cached_property
    def images(self) -> Any:
        """IPixels."""
        return self.factory.getPixelsService()

    @cached_property
    def user_id(self) -> int:
        """Id of the user that the session acts as."""
        return int(self.factory.getAdminService().getEventContext().userId)

    def everywhere(self) -> dict[str, str]:
        """A call context that reads in all groups of the user. Writing with it is refused by the server."""
        return dict(self.client.getContext(group=-1))

    def pixels(self, pixels: int, level: int = 0) -> Any:
        """A RawPixelsStore on the pixels with this id, opened once per connection; level 0 is the finest."""
        if (pixels, level) not in self._stores:
            store = self.factory.createRawPixelsStore()
            try:
                store.setPixelsId(pixels, True)
                if level:
                    # OMERO counts from the coarsest.
                    store.setResolutionLevel(store.getResolutionLevels() - 1 - level)
            except BaseException:
                with suppress(Exception):
                    store.close()
                raise
            self._stores[pixels, level] = store
        return self._stores[pixels, level]

    def drop_pixels(self, pixels: int) -> None:
        """Closes the stores on these pixels."""
        for key in [key for key in self._stores if key[0] == pixels]:
            with suppress(Exception):  # the connection may be gone; the server then closes them itself
                self._stores.pop(key).close()

    def ping(self) -> None:
        """Tells the server that the session is in use."""
        self.factory.keepAlive(None)

    def close(self, *, kill: bool = False) -> None:
        """Ends the connection; never raises.

        Args:
            kill: end the session too. A session that was made by sudo outlives `closeSession`.
        """
        for pixels, _ in list(self._stores):
            self.drop_pixels(pixels)
        with suppress(Exception):
            self.client.killSession() if kill else self.client.closeSession()


def log_in(server: OmeroServer, user: str, password: str, group: str = "") -> Line:
    """Connects with a password.

    Raises:
        Exception: of Ice or OMERO; see `failures`.
    """
    client = _client(server, group)
    try:
        client.createSession(user, password)
        return Line(client, leave=False, call_seconds=server.call_seconds)
    except BaseException:
        _discard(client)
        raise


def join(server: OmeroServer, key: str, *, leave: bool) -> Line:
    """Connects to a session that exists; `leave` as in `Line`."""
    client = _client(server)
    try:
        client.joinSession(key)
        return Line(client, leave=leave, call_seconds=server.call_seconds)
    except BaseException:
        _discard(client)
        raise


def _client(server: OmeroServer, group: str = "") -> Any:
    omero = omero_library()
    properties = {
        "omero.host": server.host if server.tls else f"tcp://{server.host}:{server.port}",
        "omero.port": str(server.port),
        "Ice.Default.InvocationTimeout": str(int(server.call_seconds * 1000)),
        # Each connection belongs to one thread; the library's default allows for fifty.
        "Ice.ThreadPool.Client.SizeMax": "2",
        "Ice.ThreadPool.Server.SizeMax": "2",
    }
    if group:
        properties["omero.group"] = group
    if server.tls and server.ca is not None:
        properties |= {
            "IceSSL.CAs": str(server.ca),
            "IceSSL.VerifyPeer": "2",
            "IceSSL.CheckCertName": "1",
        }
    client = omero.client(pmap=properties)
    client.setAgent(AGENT)
    return client


def _discard(client: Any) -> None:
    with suppress(Exception):
        client.closeSession()
