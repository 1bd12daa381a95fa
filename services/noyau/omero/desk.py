"""What the service's front desk asks of OMERO when a job comes in: who the caller is, and what they may name."""

from __future__ import annotations

from collections.abc import Iterable

from noyau.domain.caller import is_omero_owner
from noyau.domain.errors import InvalidInput, Unauthenticated
from noyau.domain.omero_uri import is_omero, parse_omero
from noyau.omero.gateway import Gateway


class OmeroDesk:
    """Confirms callers. Methods block while OMERO is asked.

    Args:
        gateway: of this process.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def identify(self, alias: str, key: str) -> tuple[str, str]:
        """Owner and group of the jobs of the caller whose session key this is.

        Args:
            alias: of the server; empty where the service knows only one.
            key: of the caller's session.

        Raises:
            Unauthenticated: OMERO does not know the key.
            InvalidInput: no alias, and several servers.
            NotFound, Unavailable.
        """
        if not alias and len(self._gateway.aliases) == 1:
            alias = self._gateway.aliases[0]
        if not alias:
            raise InvalidInput(
                f"A session key was sent without the name of its server (known: {', '.join(self._gateway.aliases)}).",
                "Send the alias of the OMERO server with it.",
            )
        caller = self._gateway.identify(alias, key)
        return caller.user.owner, caller.group

    def check(self, owner: str, confirmed: bool, uris: Iterable[str]) -> None:
        """Refuses a job that names things in OMERO which its owner could not be asked about.

        Args:
            owner: of the job.
            confirmed: the owner comes from `identify`.
            uris: what the job reads.

        Raises:
            Unauthenticated: the owner claims to be a user of OMERO without proof, or has to be one and is not.
            FailedPrecondition, NotFound: the server is of no use to this service.
        """
        if is_omero_owner(owner) and not confirmed:
            raise Unauthenticated(
                "The job names a user of OMERO as its owner, and nothing proves it.",
                "Send the key of your OMERO session with the request.",
            )
        for alias in dict.fromkeys(parse_omero(uri).alias for uri in uris if is_omero(uri)):
            self._gateway.acting_for(owner, alias)
