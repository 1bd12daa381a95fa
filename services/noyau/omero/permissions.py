"""What the session's user may do with a thing, as the server says."""

from __future__ import annotations

from noyau.domain.errors import NotFound
from noyau.domain.omero_uri import OmeroUri
from noyau.omero import queries
from noyau.omero.inventory import entity_of
from noyau.omero.line import Line


def may_annotate(line: Line, uri: OmeroUri) -> bool:
    """Whether annotations may be attached to an image or a container.

    Raises:
        NotFound: it is not there (any more).
    """
    hql = f"select o from {entity_of(uri.kind)} o where o.id = :id"
    found = line.query.findByQuery(hql, queries.parameters(id=uri.id))
    if found is None:
        raise NotFound(f"{uri.title} no longer exists on the OMERO server '{uri.alias}', or may not be read.")
    return bool(found.getDetails().getPermissions().canAnnotate())
