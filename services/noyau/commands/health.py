"""`noyau health`: does the service of this machine or container take jobs? For health checks of engines and scripts."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noyau.commands.exits import told
from noyau.commands.showing import show_line

if TYPE_CHECKING:
    import grpc

    from noyau.config import ListenSettings

# Addresses that stand for all of a machine's, and the one of them that is always there.
_ANY = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
_HANDSHAKE_SECONDS = 10.0


def health(
    config: Annotated[Path | None, typer.Option(envvar="NOYAU_CONFIG", help="TOML file with settings.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for an answer.")] = 10.0,
) -> None:
    """Ask the service that has these settings whether it takes jobs. Exit code 0: yes; 7: no answer, or not now."""
    with told():
        from noyau.client.health import is_serving
        from noyau.config import load_settings
        from noyau.domain.errors import Unavailable

        listen = load_settings(config).listen
        target = own_address(listen.address)
        with _channel(listen, target) as channel:
            if not is_serving(channel, target, timeout):
                raise Unavailable(f"The service at {target} takes no jobs now.", "It is starting or stopping; wait.")
        show_line(f"The service at {target} takes jobs.")


def own_address(address: str) -> str:
    """Where a service that listens on `address` is reached from its own machine."""
    host, _, port = address.rpartition(":")
    return f"{_ANY[host]}:{port}" if host in _ANY else address


def _channel(listen: ListenSettings, target: str) -> grpc.Channel:
    """A channel as the service's TLS asks for. It is known by its very certificate, whatever name that has."""
    from noyau.client.security import CHANNEL_OPTIONS, Security

    if listen.tls_certificate is None:
        return Security().channel(target)
    import grpc

    certificate = _read(listen.tls_certificate)
    # Where client certificates are asked for, the service's own is shown; many authorities let it pass.
    pair = (_read(listen.tls_key), certificate) if listen.tls_key and listen.tls_client_ca else (None, None)
    credentials = grpc.ssl_channel_credentials(certificate, *pair)
    name = ("grpc.ssl_target_name_override", _name_in(listen.tls_certificate, target))
    return grpc.secure_channel(target, credentials, options=(*CHANNEL_OPTIONS, name))


def _name_in(certificate: Path, target: str) -> str:
    """A host name or address for which the service's certificate is; it must be this certificate."""
    from noyau.domain.errors import Unavailable

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.set_alpn_protocols(["h2"])
    host, _, port = target.rpartition(":")
    try:
        context.load_verify_locations(certificate)
        with (
            socket.create_connection((host.strip("[]"), int(port)), timeout=_HANDSHAKE_SECONDS) as plain,
            context.wrap_socket(plain) as wrapped,
        ):
            found = wrapped.getpeercert() or {}
    except OSError as error:
        raise Unavailable(f"The service at {target} cannot be reached ({error}).") from error
    names: Any = found.get("subjectAltName", ())
    return next((str(value) for kind, value in names if kind in ("DNS", "IP Address")), "localhost")


def _read(path: Path) -> bytes:
    from noyau.domain.errors import NotFound

    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFound(f"The file {path} cannot be read ({error.strerror}).") from error
