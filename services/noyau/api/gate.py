"""The gate: every call passes it, and comes out with a caller.

An open service asks for nothing, and everybody is `Principal.anyone()`. A closed one takes three proofs:

- a bearer token, `authorization: Bearer ...`;
- the key of an OMERO session (see `identities`), which OMERO confirms;
- the certificate of mutual TLS, where the caller sends neither of the two. Beside them it is the certificate of the
  machine that the call comes from, and names nobody.

Whoever sends a token and a session key is both, and owns jobs as the user of OMERO, because OMERO has to be asked for
its images in that name.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

from noyau.api.callers import certified_name
from noyau.api.grants import Grants
from noyau.api.identities import AUTHORIZATION, SERVER_KEY, SESSION_KEY
from noyau.api.omero_proofs import OmeroProofs
from noyau.api.ports import Desk
from noyau.api.threads import Threads
from noyau.api.tokens import TokenFacts, TokenVerifier
from noyau.domain.errors import FailedPrecondition, Unauthenticated
from noyau.domain.principal import CERTIFICATE, TOKEN, Principal

_SCHEME = "bearer "
# What the kubelet, balancers and clients of the inference protocol ask before they know anything.
FREE_METHODS = frozenset(f"/inference.GRPCInferenceService/Server{name}" for name in ("Live", "Ready"))


class Gate:
    """Use it inside one event loop, and call `close`.

    Args:
        closed: callers have to prove who they are.
        grants: what they may do then.
        tokens: checks bearer tokens; None takes none.
        desk: asks OMERO; None knows no server.
        use_once: marks a token as used until a time, and tells whether it was not before.
    """

    def __init__(
        self,
        closed: bool = False,
        grants: Grants | None = None,
        tokens: TokenVerifier | None = None,
        desk: Desk | None = None,
        use_once: Callable[[str, float], bool] | None = None,
    ) -> None:
        self._closed = closed
        self._grants = grants or Grants()
        self._tokens = tokens
        self._omero = OmeroProofs(desk) if desk is not None else None
        self._use_once = use_once
        # Not those of the servicers: where the issuer's keys come slowly, other callers do not wait.
        self._threads = Threads(4)

    def close(self) -> None:
        """Ends the threads."""
        self._threads.close()
        if self._omero is not None:
            self._omero.close()

    async def admit(self, method: str, context: Any) -> Principal:
        """Who calls.

        Args:
            method: full name, as in `/noyau.v1.JobService/Get`.
            context: of the call; no message of it has been read yet.

        Raises:
            Unauthenticated: no proof, or one that does not hold.
            Unavailable, NotFound, InvalidInput: it cannot be checked.
        """
        if not self._closed or method in FREE_METHODS:
            return Principal.anyone()
        sent = _sent(context)
        token, key = sent.get(AUTHORIZATION, ""), sent.get(SESSION_KEY, "")
        names: list[str] = []
        groups: list[str] = []
        facts: TokenFacts | None = None
        if key:
            owner, home = await self._of_omero(sent.get(SERVER_KEY, ""), key)
            names.append(owner)
            groups += [home] if home else []
        if token:
            facts = await self._of_token(token, context)
            names.append(TOKEN + facts.user)
            groups += facts.groups
        if not names:
            names.append(CERTIFICATE + self._certified(context))
        roles, expires = (facts.roles, facts.expires) if facts is not None else ((), None)
        return self._grants.principal(tuple(names), groups, roles, expires)

    async def _of_omero(self, alias: str, key: str) -> tuple[str, str]:
        if self._omero is None:
            raise FailedPrecondition(
                "A key of an OMERO session was sent, but this service is connected to no OMERO server.",
                "An operator can add one to the setting `omero`.",
            )
        return await self._omero.identify(alias, key)

    async def _of_token(self, header: str, context: Any) -> TokenFacts:
        if header[: len(_SCHEME)].lower() != _SCHEME:
            raise Unauthenticated("Only bearer tokens are taken.", "Send `authorization: Bearer ...`.")
        if self._tokens is None:
            raise Unauthenticated("This service takes no tokens.", self._remedy())
        facts = await self._threads.run(self._tokens.verify, header[len(_SCHEME) :].strip())
        if facts.certificate and not _is_of(facts.certificate, context):
            raise Unauthenticated(
                "The token is bound to a certificate that the caller did not show.",
                "Connect with the certificate that the token was made for (--tls-certificate and --tls-key).",
            )
        if facts.once and not await self._first_use(facts):
            raise Unauthenticated("The token was used already, and is good for one call.", "Get a new one.")
        return facts

    async def _first_use(self, facts: TokenFacts) -> bool:
        if self._use_once is None:
            raise FailedPrecondition("This service cannot remember tokens that are good for one call.")
        return await self._threads.run(self._use_once, facts.once, facts.expires)

    def _certified(self, context: Any) -> str:
        name = certified_name(context)
        if not name or not name.isprintable():
            raise Unauthenticated(
                "This service has to know who calls, and nothing was sent that says so.", self._remedy()
            )
        return name

    def _remedy(self) -> str:
        ways = ["show a client certificate (--tls-certificate)"]
        if self._tokens is not None:
            ways.insert(0, "send a token (--token-file, NOYAU_TOKEN)")
        if self._omero is not None:
            ways.append("the key of an OMERO session (--omero)")
        return f"Ways to prove it: {', '.join(ways)}."


def _sent(context: Any) -> dict[str, str]:
    """Proofs in the metadata of a call. Raises Unauthenticated where one is there twice: which one is meant?"""
    found: dict[str, str] = {}
    for name, value in context.invocation_metadata() or ():
        if name in (AUTHORIZATION, SESSION_KEY, SERVER_KEY):
            if name in found:
                raise Unauthenticated(f"The call carries '{name}' more than once.", "Send it once.")
            found[name] = str(value)
    return found


def _is_of(thumbprint: str, context: Any) -> bool:
    """Whether the caller's certificate has that SHA-256 (base64url without padding, RFC 8705)."""
    pems = (context.auth_context() or {}).get("x509_pem_cert", ())
    try:
        body = b"".join(line for line in pems[0].splitlines() if line and not line.startswith(b"-----"))
        der = base64.b64decode(body, validate=True)
    except (IndexError, binascii.Error):
        return False
    shown = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=")
    return hmac.compare_digest(shown, thumbprint.encode())
