"""Who the caller is, told to the service with every call: a bearer token, the key of an OMERO session, or both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from noyau.api.identities import AUTHORIZATION, SERVER_KEY, SESSION_KEY
from noyau.client.security import Security
from noyau.domain.errors import InvalidInput, NotFound

Metadata = tuple[tuple[str, str], ...]
TokenSource = Callable[[], str]

_LONGEST_FILE = 65_536


@dataclass(frozen=True)
class TokenFile:
    """A file with nothing but a token. It is read for every call, so that whoever renews the token just replaces it."""

    path: Path

    def __call__(self) -> str:
        """The token. Raises NotFound, InvalidInput; neither repeats what the file holds."""
        try:
            with self.path.expanduser().open(encoding="ascii") as file:
                found = file.read(_LONGEST_FILE + 1).strip()
        except OSError as error:
            raise NotFound(f"The token file {self.path} cannot be read ({error.strerror}).") from error
        except UnicodeDecodeError:
            raise InvalidInput(f"The file {self.path} holds no token.", "It should hold the token alone.") from None
        return _token(found, f"The file {self.path}")


class Proofs:
    """The metadata of calls.

    Args:
        target: where they go.
        security: of the channel.
        omero: alias of an OMERO server, and the key of the caller's session there; None sends none.
        token: a bearer token, or what gives the one of the moment; None sends none.

    Raises:
        InvalidInput: whoever sees one of them can use it, and nothing would hide it on the way.
    """

    def __init__(
        self,
        target: str,
        security: Security,
        omero: tuple[str, str] | None = None,
        token: str | TokenSource | None = None,
    ) -> None:
        for what in (["key of an OMERO session"] if omero else []) + (["token"] if token else []):
            if not (security.is_encrypted or is_local(target)):
                raise InvalidInput(
                    f"The {what} would travel openly to {target}.", "Use TLS (--tls-ca), or a service on this machine."
                )
        alias, key = omero or ("", "")
        self._omero: Metadata = ((SERVER_KEY, alias), (SESSION_KEY, key)) if omero else ()
        self._token = _token(token, "What was given as the token") if isinstance(token, str) else token

    def __call__(self) -> Metadata | None:
        """Of the next call; None where there is nothing to send."""
        token = self._token if isinstance(self._token, str) or self._token is None else self._token()
        sent = (*self._omero, *(((AUTHORIZATION, f"Bearer {token}"),) if token else ()))
        return sent or None


def is_local(target: str) -> bool:
    """Whether a channel to `target` does not leave this machine."""
    host = target.rpartition(":")[0].strip("[]")
    return target.startswith("unix:") or host in ("localhost", "::1") or host.startswith("127.")


def _token(text: str, what: str) -> str:
    # A line break or a blank would end the header, or begin another.
    if not text or len(text) > _LONGEST_FILE or not text.isascii() or not text.isprintable() or " " in text:
        raise InvalidInput(f"{what} holds no token.", "It should be the token alone, without quotes or `Bearer`.")
    return text
