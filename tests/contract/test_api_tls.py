"""Beyond the machine: TLS, and client certificates where the operator asks for them."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from noyau.api.binding import Binding
from noyau.api.server import ApiServer, Services
from noyau.client import Client, Security
from noyau.domain.catalogue import Catalogue
from noyau.domain.errors import FailedPrecondition, InvalidInput, NotFound, Unavailable


@dataclass(frozen=True)
class Pem:
    certificate: Path
    key: Path


class Authority:
    """Signs certificates for this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self.file = folder / "ca.pem"
        self.file.write_bytes(self._sign(self._name, self._key, authority=True))

    def issue(self, name: str) -> Pem:
        key = ec.generate_private_key(ec.SECP256R1())
        pem = Pem(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        pem.certificate.write_bytes(self._sign(subject, key, authority=False))
        pem.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return pem

    def _sign(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


class NoJobs:
    """Stands for what this test does not use; it notes who took an alias away."""

    def __init__(self) -> None:
        self.callers: list[str] = []

    def catalogue(self) -> Catalogue:
        return Catalogue(())

    def drop_alias(self, name: str, alias: str, by: str) -> None:
        self.callers.append(by)


async def listed(binding: Binding, security: Security, nothing: Any = None) -> Any:
    """Starts a server, lists its models with a client of the given security, takes an alias away, and stops it."""
    nothing = nothing or NoJobs()
    server = ApiServer(Services(nothing, nothing, nothing, nothing), binding, crop_bytes=1000, concurrent_calls=10)
    await server.start()

    def ask() -> Any:
        with Client(server.address, security=security, timeout=10) as client:
            client.registry.drop_alias("m", "a", by="somebody else")
            return client.models()

    try:
        return await asyncio.to_thread(ask)
    finally:
        await server.stop(0)


async def test_tls_needs_the_right_authority(authority: Authority) -> None:
    pem = authority.issue("server")
    binding = Binding("127.0.0.1:0", pem.certificate, pem.key)
    assert await listed(binding, Security(ca=authority.file)) == ()
    with pytest.raises(Unavailable):
        await listed(binding, Security())
    with pytest.raises(Unavailable):
        await listed(binding, Security(tls=True))


async def test_client_certificates_are_asked_for(authority: Authority, tmp_path: Path) -> None:
    server, client = authority.issue("server"), authority.issue("client")
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other").issue("stranger")
    binding = Binding("127.0.0.1:0", server.certificate, server.key, authority.file)
    good = Security(ca=authority.file, certificate=client.certificate, key=client.key)
    desk = NoJobs()
    assert await listed(binding, good, desk) == ()
    assert desk.callers == ["client"], "the certificate says who it is, whatever the caller says"
    assert await listed(Binding("127.0.0.1:0"), Security(), desk) == ()
    assert desk.callers[1:] == ["somebody else"]
    for bad in (
        Security(ca=authority.file),
        Security(ca=authority.file, certificate=stranger.certificate, key=stranger.key),
    ):
        with pytest.raises(Unavailable):
            await listed(binding, bad)


async def test_files_that_cannot_be_used_are_named(authority: Authority, tmp_path: Path) -> None:
    pem = authority.issue("server")
    with pytest.raises(FailedPrecondition, match=r"none\.pem"):
        await listed(Binding("127.0.0.1:0", tmp_path / "none.pem", pem.key), Security())
    with pytest.raises(NotFound, match=r"none\.pem"):
        await listed(Binding("127.0.0.1:0"), Security(ca=tmp_path / "none.pem"))
    with pytest.raises(InvalidInput):
        await listed(Binding("127.0.0.1:0"), Security(certificate=pem.certificate))


async def test_a_port_in_use_is_told() -> None:
    nothing: Any = NoJobs()
    services = Services(nothing, nothing, nothing, nothing)
    first = ApiServer(services, Binding("127.0.0.1:0"), crop_bytes=1000, concurrent_calls=10)
    await first.start()
    try:
        with pytest.raises(FailedPrecondition, match="in use"):
            ApiServer(services, Binding(first.address), crop_bytes=1000, concurrent_calls=10)
    finally:
        await first.stop(0)
