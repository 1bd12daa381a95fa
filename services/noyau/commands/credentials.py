"""Options by which a command proves to a service who calls, the same for every command that talks to one."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from noyau.client import Security
    from noyau.client.proofs import TokenSource

Command = TypeVar("Command", bound=Callable[..., Any])

TOKEN_VARIABLE = "NOYAU_TOKEN"
"""Holds a token itself. No option does: other users of a machine can read command lines."""
_PARAMETER = "credentials"


@dataclass(frozen=True)
class Credentials:
    """What the options say.

    Attributes:
        tls_ca: PEM file of the authority that signed the service's certificate.
        tls_certificate, tls_key: PEM files of the caller for mutual TLS.
        token_file: file with a bearer token.
        omero: alias of an OMERO server whose user the caller is, by `noyau omero login`.
    """

    tls_ca: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    token_file: Path | None = None
    omero: str | None = None

    @property
    def are_given(self) -> bool:
        return self != NOBODY

    def security(self) -> Security:
        """TLS of the channel."""
        from noyau.client import Security

        return Security(ca=self.tls_ca, certificate=self.tls_certificate, key=self.tls_key)

    def token(self) -> str | TokenSource | None:
        """The token file, else the token in the environment, else None."""
        from noyau.client import TokenFile

        if self.token_file is not None:
            return TokenFile(self.token_file)
        return os.environ.get(TOKEN_VARIABLE, "").strip() or None


NOBODY = Credentials()

_OPTIONS: dict[str, Any] = {
    "tls_ca": Annotated[
        Path | None,
        typer.Option("--tls-ca", envvar="NOYAU_TLS_CA", help="PEM file of the authority of the service's certificate."),
    ],
    "tls_certificate": Annotated[
        Path | None,
        typer.Option("--tls-certificate", envvar="NOYAU_TLS_CERTIFICATE", help="PEM file of your own certificate."),
    ],
    "tls_key": Annotated[
        Path | None, typer.Option("--tls-key", envvar="NOYAU_TLS_KEY", help="PEM file with its private key.")
    ],
    "token_file": Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            envvar="NOYAU_TOKEN_FILE",
            help="File with your bearer token, read for every call. Or set NOYAU_TOKEN to the token.",
        ),
    ],
    "omero": Annotated[
        str | None, typer.Option("--omero", metavar="ALIAS", help="Call as the user of `noyau omero login ALIAS`.")
    ],
}


def with_credentials(command: Command) -> Command:
    """Gives a command the options above in the place of its parameter `credentials`, which it gets filled in."""
    signature = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.name == _PARAMETER:
            parameters += [_option(name, parameter) for name in _OPTIONS]
        else:
            parameters.append(parameter)

    @wraps(command)
    def wrapped(*args: Any, **given: Any) -> Any:
        chosen = {field.name: given.pop(field.name) for field in fields(Credentials) if field.name in given}
        return command(*args, **given, **({_PARAMETER: Credentials(**chosen)} if chosen else {}))

    found: Any = wrapped
    found.__signature__ = signature.replace(parameters=parameters)
    found.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return found  # type: ignore[no-any-return]


def _option(name: str, place: inspect.Parameter) -> inspect.Parameter:
    return inspect.Parameter(name, place.kind, default=None, annotation=_OPTIONS[name])
