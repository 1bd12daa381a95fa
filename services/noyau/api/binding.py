"""Where the server listens, and what that takes: beyond this machine only with TLS and proofs of who calls, or with an
explicit word."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

import grpc

from noyau.domain.errors import FailedPrecondition, InvalidInput


@dataclass(frozen=True)
class Binding:
    """An address and its protection.

    Attributes:
        address: `host:port`, `[v6]:port`, or `unix:/path`. Port 0 picks a free one.
        certificate, key: PEM files of the server; both or none.
        client_ca: PEM file; with it only clients with a certificate of that authority are let in.
        insecure: allow an address beyond this machine without TLS, or without proofs.
        asks_callers: callers have to prove who they are; with a `client_ca` they do anyway.
    """

    address: str
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    insecure: bool = False
    asks_callers: bool = False

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise InvalidInput("TLS needs a certificate and a key; one is missing.", "Give both, or none.")
        if self.client_ca is not None and self.certificate is None:
            raise InvalidInput("Client certificates need a server certificate.", "Give certificate and key as well.")
        if self.is_local or self.insecure:
            return
        if self.certificate is None:
            raise FailedPrecondition(
                f"{self.address} can be reached from other machines, and nothing would protect it.",
                "Give a TLS certificate and key, listen on 127.0.0.1, or insist with --insecure.",
            )
        if not (self.asks_callers or self.client_ca is not None):
            raise FailedPrecondition(
                f"{self.address} can be reached from other machines, and anyone there could run jobs.",
                "Let callers prove who they are (tokens: `auth.tokens`, certificates: --tls-client-ca, OMERO sessions: "
                "`auth.required`), listen on 127.0.0.1, or insist with --insecure.",
            )

    @property
    def is_local(self) -> bool:
        """True where only processes of this machine can connect."""
        if self.address.startswith("unix:"):
            return True
        host = split_address(self.address)[0]
        if host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def add_to(self, server: grpc.aio.Server) -> str:
        """Opens the port and returns the address with the real port.

        Raises:
            FailedPrecondition: the address is in use or not of this machine, or a PEM file cannot be used.
        """
        try:
            if self.certificate is None or self.key is None:
                port = server.add_insecure_port(self.address)
            else:
                port = server.add_secure_port(self.address, self._credentials(self.certificate, self.key))
        except (RuntimeError, ValueError) as error:
            raise FailedPrecondition(
                f"The service cannot listen on {self.address}; is it in use?", "Choose another one with --address."
            ) from error
        if self.address.startswith("unix:"):
            return self.address
        return f"{self.address.rpartition(':')[0]}:{port}"

    def _credentials(self, certificate: Path, key: Path) -> grpc.ServerCredentials:
        try:
            ca = self.client_ca.read_bytes() if self.client_ca is not None else None
            pair = (key.read_bytes(), certificate.read_bytes())
        except OSError as error:
            raise FailedPrecondition(f"The file {error.filename} cannot be read ({error.strerror}).") from error
        return grpc.ssl_server_credentials([pair], root_certificates=ca, require_client_auth=ca is not None)


def split_address(address: str) -> tuple[str, int]:
    """Host (without brackets) and port. Raises InvalidInput."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise InvalidInput(f"'{address}' is not an address.", "Write host:port, [v6]:port or unix:/path.")
    return host.removeprefix("[").removesuffix("]"), int(port)
