"""Who a caller is: told by OMERO, by joining the caller's session once and leaving it as it was."""

from __future__ import annotations

from dataclasses import dataclass

from noyau.domain.caller import OmeroUser
from noyau.domain.errors import Unauthenticated
from noyau.omero.failures import explain, is_refused_login
from noyau.omero.line import join
from noyau.omero.server import OmeroServer


@dataclass(frozen=True)
class Caller:
    """A caller whose session OMERO has confirmed.

    Attributes:
        user: server and login name; the owner of the jobs.
        user_id: database id.
        group: name of the group that the session is in; jobs are counted for it.
        groups: ids of the user's groups.
        is_admin: an administrator, restricted or not.
    """

    user: OmeroUser
    user_id: int
    group: str
    groups: tuple[int, ...]
    is_admin: bool


def identify(server: OmeroServer, key: str) -> Caller:
    """Asks OMERO whose session a key is. The key is used here only and kept nowhere.

    Raises:
        Unauthenticated: it is no key of a living session.
        Unavailable: the server does not answer.
    """
    refusal = Unauthenticated(
        f"The OMERO server '{server.alias}' does not know the session key that was sent.",
        "Log in to OMERO again; a key is valid only while its session lives.",
    )
    if not key or not key.isprintable() or len(key) > 255:
        raise refusal
    try:
        line = join(server, key, leave=True)
        try:
            context = line.factory.getAdminService().getEventContext()
        finally:
            line.close()
    except Exception as error:
        if is_refused_login(error):
            raise refusal from None  # its text may hold the key
        raise explain(error, "asking who the caller is", server.alias) from error
    return Caller(
        user=OmeroUser(server.alias, str(context.userName)),
        user_id=int(context.userId),
        group=str(context.groupName),
        groups=tuple(int(group) for group in context.memberOfGroups),
        is_admin=bool(context.isAdmin),
    )
