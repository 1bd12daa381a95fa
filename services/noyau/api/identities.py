"""Who calls: told by the key of an OMERO session in the metadata of a request, confirmed by OMERO."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from noyau.api.ports import Desk
from noyau.domain.errors import FailedPrecondition

SESSION_KEY = "noyau-omero-session"
SERVER_KEY = "noyau-omero-server"
"""Metadata of a request: the key of the caller's OMERO session, and the alias of the server that it is of."""


@dataclass(frozen=True)
class Identity:
    """Owner and group of a job, and whether OMERO has confirmed them."""

    owner: str
    group: str
    confirmed: bool


def identify(desk: Desk | None, metadata: Any, owner: str, group: str) -> Identity:
    """The caller of a request.

    Args:
        desk: asks OMERO; None where the service knows no server.
        metadata: of the request.
        owner, group: what the request says; the group stays where it is given.

    Raises:
        Unauthenticated, NotFound, Unavailable, InvalidInput: see `OmeroDesk.identify`.
        FailedPrecondition: a key was sent to a service that knows no OMERO server.
    """
    sent = {str(name): value for name, value in metadata or () if name in (SESSION_KEY, SERVER_KEY)}
    key = sent.get(SESSION_KEY, "")
    if not key:
        return Identity(owner, group, False)
    if desk is None:
        raise FailedPrecondition(
            "A key of an OMERO session was sent, but this service is connected to no OMERO server.",
            "An operator can add one to the setting `omero`.",
        )
    found, home = desk.identify(str(sent.get(SERVER_KEY, "")), str(key))
    return Identity(found, group or home, True)


def check(desk: Desk | None, identity: Identity, uris: Iterable[str]) -> None:
    """Refuses a job that names things in OMERO which its owner may not be asked about. See `OmeroDesk.check`."""
    if desk is not None:
        desk.check(identity.owner, identity.confirmed, uris)
