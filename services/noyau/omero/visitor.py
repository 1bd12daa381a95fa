"""One job's way into OMERO: acts as the owner of the job, in the group of each thing that it names."""

from __future__ import annotations

from noyau.domain.errors import NotFound
from noyau.domain.omero_uri import OmeroUri
from noyau.omero import queries
from noyau.omero.gateway import Gateway
from noyau.omero.line import Line
from noyau.omero.session import Session

_ENTITIES = {
    "project": "Project",
    "dataset": "Dataset",
    "screen": "Screen",
    "plate": "Plate",
    "well": "Well",
    "image": "Image",
}


class Visitor:
    """Sessions for the owner of one job.

    Args:
        gateway: of the process.
        owner: the owner as the job's record has it.
    """

    def __init__(self, gateway: Gateway, owner: str) -> None:
        self.gateway = gateway
        self._owner = owner
        self._groups: dict[OmeroUri, int] = {}

    def at(self, uri: OmeroUri) -> Session:
        """A session in the group of the thing: things are written only in the group of what they belong to.

        Raises:
            NotFound: the owner may not read it, or it does not exist.
            Unauthenticated, Unavailable, PermissionRefused: no session can be had.
        """
        user = self.gateway.acting_for(self._owner, uri.alias)
        if uri not in self._groups:
            home = self.gateway.session(uri.alias, user, None)
            group = home.call(lambda line: group_of(line, uri), f"looking for {uri.title}")
            if group is None:
                raise NotFound(
                    f"There is no {uri.title} on the OMERO server '{uri.alias}' that {user or 'you'} may read.",
                    "Check the number and the group's permissions.",
                )
            self._groups[uri] = group
        return self.gateway.session(uri.alias, user, self._groups[uri])


def group_of(line: Line, uri: OmeroUri) -> int | None:
    """Id of the group that a thing is in; None where the user cannot see it."""
    hql = f"select o.details.group.id from {_ENTITIES[uri.kind]} o where o.id = :id"
    found = queries.ids(line, hql, everywhere=True, id=uri.id)
    return found[0] if found else None
