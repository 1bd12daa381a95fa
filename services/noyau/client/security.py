"""How a client proves that it talks to the right service, and with a certificate to the service who it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc

from noyau.domain.errors import InvalidInput, NotFound

# Answers may be eight times as large as the crop that was sent; the service limits what it takes by itself.
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)


@dataclass(frozen=True)
class Security:
    """TLS of a channel. Without any of these the channel is plain, as on the loopback.

    Attributes:
        tls: use TLS with the certificate authorities of the system.
        ca: PEM file with the authority that signed the service's certificate; implies TLS.
        certificate, key: PEM files of the client for mutual TLS; both or none.
    """

    tls: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @property
    def is_encrypted(self) -> bool:
        """Whether the channel uses TLS."""
        return bool(self.tls or self.ca or self.certificate)

    def channel(self, target: str) -> grpc.Channel:
        """A channel to `host:port` or `unix:/path`; nothing is connected yet.

        Raises:
            InvalidInput: certificate without key or the other way round.
            NotFound: a PEM file cannot be read.
        """
        if (self.certificate is None) != (self.key is None):
            raise InvalidInput("A client certificate needs its key, and a key its certificate.", "Give both, or none.")
        if not self.is_encrypted:
            return grpc.insecure_channel(target, options=CHANNEL_OPTIONS)
        credentials = grpc.ssl_channel_credentials(_read(self.ca), _read(self.key), _read(self.certificate))
        return grpc.secure_channel(target, credentials, options=CHANNEL_OPTIONS)


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFound(f"The file {path} cannot be read ({error.strerror}).") from error
