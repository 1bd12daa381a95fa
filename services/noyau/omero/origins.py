"""Where sessions come from: opened by the service's account for a user, or a person's own."""

from __future__ import annotations

from contextlib import suppress

from noyau.domain.errors import FailedPrecondition, PermissionRefused
from noyau.omero import queries
from noyau.omero.bindings import omero_library
from noyau.omero.failures import is_refused_login
from noyau.omero.line import Line, join, log_in
from noyau.omero.server import OmeroServer

IDLE_MINUTES = 10
"""A session that nobody keeps alive ends after this time, so that a killed process leaves none behind."""


class SudoOrigin:
    """Sessions for a user in a group, made with the privilege Sudo.

    OMERO.web ends a script's session with the script, and a user's session cannot make another one. So the service
    does a job's reading and writing in a session of its own, which nobody else's logging out can end.
    """

    def __init__(self, server: OmeroServer, user: str, group: int | None) -> None:
        self._server = server
        self._user = user
        self._group = group
        self._key: str | None = None

    def key(self, old: str | None) -> str:
        """Opens a session. Raises PermissionRefused where the server does not let the account do so."""
        service = self._log_in()
        try:
            self._key = self._open(service)
            return self._key
        finally:
            service.close(kill=True)

    def join(self, key: str) -> Line:
        return join(self._server, key, leave=True)

    def end(self) -> None:
        """Ends the session. It was made by sudo, so closing a connection does not do it."""
        if self._key is not None:
            with suppress(Exception):
                join(self._server, self._key, leave=False).close(kill=True)

    def _log_in(self) -> Line:
        try:
            return log_in(self._server, self._server.user or "", self._server.password())
        except Exception as error:
            if not is_refused_login(error):
                raise
            raise FailedPrecondition(
                f"The OMERO server '{self._server.alias}' refused the login of the service's account "
                f"'{self._server.user}'.",
                "An operator must correct the account or its password.",
            ) from None

    def _open(self, service: Line) -> str:
        omero = omero_library()
        principal = omero.sys.Principal()
        principal.name, principal.eventType = self._user, "User"
        principal.group = "" if self._group is None else _group_name(service, self._group)
        live = int(self._server.session_hours * 3_600_000)
        sessions = service.factory.getSessionService()
        try:
            made = sessions.createSessionWithTimeouts(principal, live, IDLE_MINUTES * 60_000)
        except (omero.SecurityViolation, omero.ApiUsageException, omero.ValidationException) as error:
            raise PermissionRefused(
                f"The OMERO server '{self._server.alias}' does not let Noyau work for {self._user} in group "
                f"{principal.group or 'of choice'}.",
                "The user must be an active member of the group, and Noyau's account needs the privilege Sudo.",
            ) from error
        return str(made.getUuid().getValue())


class OwnOrigin:
    """A person's own session, on their own machine. It is left as it was found."""

    def __init__(self, server: OmeroServer, group: int | None) -> None:
        self._server = server
        self._group = group

    def key(self, old: str | None) -> str:
        """The key that `noyau omero login` left; an ended session cannot be renewed, so it is tried again as it is."""
        return self._server.own_key()

    def join(self, key: str) -> Line:
        line = join(self._server, key, leave=True)
        if self._group is not None:
            _enter_group(line, self._group)
        return line

    def end(self) -> None: ...


def _enter_group(line: Line, group: int) -> None:
    """Makes a group the session's own; a table would go into the wrong one otherwise, whatever the call says."""
    if line.factory.getAdminService().getEventContext().groupId != group:
        omero = omero_library()
        line.factory.setSecurityContext(omero.model.ExperimenterGroupI(group, False))


def _group_name(service: Line, group: int) -> str:
    hql = "select g.name from ExperimenterGroup g where g.id = :id"
    return next((str(name) for (name,) in queries.rows(service, hql, everywhere=True, id=group)), "")
