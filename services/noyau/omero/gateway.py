"""The door to OMERO for one process: its servers by alias, callers identified, sessions pooled and throttled."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Self

from noyau.domain.caller import OmeroUser
from noyau.domain.errors import FailedPrecondition, NotFound, Unauthenticated
from noyau.domain.meters import Meter
from noyau.omero.identity import Caller, identify
from noyau.omero.origins import OwnOrigin, SudoOrigin
from noyau.omero.server import OmeroServer
from noyau.omero.session import Session


class Gateway:
    """Use it as a context manager, or call `close`: sessions that were made by sudo do not end by themselves soon.

    Args:
        servers: the servers of the settings.
        meter: counts the calls of sessions, where somebody wants to know.
    """

    def __init__(self, servers: Iterable[OmeroServer], meter: Meter | None = None) -> None:
        self._meter = meter
        self._servers = {server.alias: server for server in servers}
        self._throttles = {alias: threading.Semaphore(server.calls) for alias, server in self._servers.items()}
        self._sessions: dict[tuple[str, str, int | None], Session] = {}
        self._lock = threading.Lock()

    @property
    def aliases(self) -> tuple[str, ...]:
        """Names of the known servers."""
        return tuple(self._servers)

    def server(self, alias: str) -> OmeroServer:
        """A server by its alias. Raises NotFound."""
        if alias not in self._servers:
            known = ", ".join(self._servers) or "none"
            raise NotFound(
                f"This service knows no OMERO server '{alias}' (known: {known}).",
                "An operator can add it to the setting `omero`.",
            )
        return self._servers[alias]

    def identify(self, alias: str, key: str) -> Caller:
        """Whose session a key is. Raises Unauthenticated, NotFound, Unavailable."""
        return identify(self.server(alias), key)

    def session(self, alias: str, user: str, group: int | None) -> Session:
        """The session for a user in a group, opened with its first call and kept for later jobs of this process."""
        server = self.server(alias)
        with self._lock:
            key = (alias, user, group)
            if key not in self._sessions:
                origin = SudoOrigin(server, user, group) if server.acts_for_others else OwnOrigin(server, group)
                self._sessions[key] = Session(server, user, group, origin, self._throttles[alias], meter=self._meter)
            return self._sessions[key]

    def acting_for(self, owner: str, alias: str) -> str:
        """The user as whom a job of this owner works on a server.

        Raises:
            Unauthenticated: the owner was not confirmed by that server, and this service acts for its users.
            FailedPrecondition: the server is of no use to this service: it has neither an account nor a login there.
        """
        server = self.server(alias)
        user = OmeroUser.of(owner)
        if user is not None and user.alias == alias:
            return user.name
        if server.acts_for_others:
            raise Unauthenticated(
                f"The job names images of the OMERO server '{alias}', but nobody proved to be a user of it.",
                f"Send the key of your OMERO session: noyau omero login {alias}, or start it from OMERO.web.",
            )
        if server.session_file is None:
            raise FailedPrecondition(
                f"This service has no account on the OMERO server '{alias}'.",
                "An operator can set one (user and password_env or password_file), or log in for --local.",
            )
        return ""

    def release(self) -> None:
        """Ends all sessions; the next call opens new ones."""
        with self._lock:
            sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            session.close()

    def close(self) -> None:
        """Ends all sessions; never raises."""
        self.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
