"""Whose a new job or model is: of the caller, where that was proven at the gate. In an open service of the user of an
OMERO session that OMERO confirms, else of whoever the request names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from noyau.api.call import Call
from noyau.api.ports import Desk
from noyau.domain.caller import is_omero_owner
from noyau.domain.errors import FailedPrecondition, Unauthenticated
from noyau.domain.principal import CERTIFICATE, TOKEN

AUTHORIZATION = "authorization"
"""Metadata of a request: `Bearer` and a token."""
SESSION_KEY = "noyau-omero-session"
SERVER_KEY = "noyau-omero-server"
"""Metadata of a request: the key of the caller's OMERO session, and the alias of the server that it is of."""


@dataclass(frozen=True)
class Identity:
    """Owner and group of a job, and whether OMERO has confirmed them."""

    owner: str
    group: str
    confirmed: bool


def identify(desk: Desk | None, call: Call, owner: str, group: str) -> Identity:
    """The owner and the group of what a call makes.

    Args:
        desk: asks OMERO; None where the service knows no server.
        call: has passed the gate.
        owner, group: what the request says; the group stays where it is given, the owner only in an open service.

    Raises:
        PermissionRefused: the caller does not belong to the group.
        Unauthenticated: the request claims an owner that needs a proof.
        Unauthenticated, NotFound, Unavailable, InvalidInput: see `OmeroDesk.identify`.
        FailedPrecondition: a key was sent to a service that knows no OMERO server.
    """
    caller = call.caller
    if caller.is_proven:
        return Identity(caller.name, caller.group_for(group), is_omero_owner(caller.name))
    sent = {str(name): value for name, value in call.invocation_metadata() or () if name in (SESSION_KEY, SERVER_KEY)}
    key = sent.get(SESSION_KEY, "")
    if not key:
        if owner.startswith((TOKEN, CERTIFICATE)):
            raise Unauthenticated(
                f"Owners that begin with '{TOKEN}' or '{CERTIFICATE}' are proven, and this service proves nobody.",
                "Name another owner, or none.",
            )
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
