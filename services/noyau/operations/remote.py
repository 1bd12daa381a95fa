"""What lies on other machines: a running service, and the servers that the settings name."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from importlib.metadata import version
from urllib.parse import urlsplit

from noyau.client.proofs import TokenSource
from noyau.client.security import Security
from noyau.config import Settings
from noyau.domain.errors import NoyauError
from noyau.operations.findings import Finding, Status, ok

SECONDS = 5.0


def server(address: str, security: Security | None = None, token: str | TokenSource | None = None) -> Iterator[Finding]:
    """A running service: whether it takes calls, and its version."""
    from noyau.client.health import ask

    found = ask(address, security or Security(), SECONDS, token)
    name, own = f"server {address}", version("noyau")
    if not found.serving:
        remedy = "It is starting or stopping; look at its log if that lasts."
        yield Finding(name, Status.FAILED, "answers, but takes no calls", remedy)
    elif found.version != own:
        remedy = "Use the same version on both sides."
        yield Finding(name, Status.WARNING, f"takes calls; version {found.version}, here {own}", remedy)
    else:
        yield ok(name, f"takes calls; version {found.version}")


def endpoints(settings: Settings) -> Iterator[Finding]:
    """Whether somebody listens there; nothing is asked and no password is sent."""
    if settings.access.s3_endpoint:
        parts = urlsplit(settings.access.s3_endpoint)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        yield _listens("s3 endpoint", parts.hostname or "", port)
    for alias, omero in settings.omero.items():
        yield _listens(f"omero {alias}", omero.host, omero.port)
    for name, url in (("traces collector", settings.traces.endpoint), ("dask scheduler", settings.dask.scheduler)):
        if url:
            parts = urlsplit(url)
            yield _listens(name, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 4317))


def token_keys(settings: Settings) -> Iterator[Finding]:
    """The keys by which tokens are checked: whether they can be read; nothing where no issuer is set."""
    from noyau.api.keys import parse_keys, reader_of

    place = settings.auth.tokens.keys
    if place is None:
        return
    try:
        found = parse_keys(reader_of(place)(), place)
    except (OSError, NoyauError) as error:
        remedy = "Check the setting auth.tokens.keys; until it works nobody with a token is let in."
        yield Finding("token keys", Status.FAILED, f"{place}: {error}", remedy)
        return
    yield ok("token keys", f"{len(found)} at {place}")


def _listens(name: str, host: str, port: int) -> Finding:
    try:
        socket.create_connection((host, port), SECONDS).close()
    except OSError as error:
        remedy = "Check its name and port, that it runs, and the firewalls between."
        return Finding(name, Status.FAILED, f"{host}:{port} does not answer ({error.strerror or error})", remedy)
    return ok(name, f"{host}:{port} answers")
