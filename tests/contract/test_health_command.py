"""`noyau health` asks a real server as a container's health check would: by the service's own settings."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from noyau.api.binding import Binding
from noyau.api.server import ApiServer, Services
from noyau.cli import build_app
from noyau.commands.health import own_address
from typer.testing import CliRunner


class Authority:
    """Signs certificates that are for a name no resolver knows: the check must not depend on names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, folder.name)])
        self.file = folder / "ca.pem"
        self.file.write_bytes(self._signed("ca", self._key.public_key(), authority=True))

    def issue(self, name: str) -> dict[str, str]:
        """Settings with a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, secret = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certificate.write_bytes(self._signed(name, key.public_key(), authority=False))
        kinds = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        secret.write_bytes(key.private_bytes(*kinds))
        return {"NOYAU_LISTEN__TLS_CERTIFICATE": str(certificate), "NOYAU_LISTEN__TLS_KEY": str(secret)}

    def _signed(self, name: str, key: ec.EllipticCurvePublicKey, *, authority: bool) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        subject = self._name if authority else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = [x509.DNSName(f"{name}.facility.example"), x509.IPAddress(ipaddress.ip_address("192.0.2.1"))]
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
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


async def checked(monkeypatch: pytest.MonkeyPatch, served: Binding, settings: dict[str, str]) -> tuple[int, str]:
    """Exit code and words of the command, against a server that is up."""
    nothing: Any = object()
    server = ApiServer(Services(nothing, nothing, nothing, nothing), served, crop_bytes=1000, concurrent_calls=10)
    await server.start()
    try:
        return await asyncio.to_thread(asked, monkeypatch, server.address, settings)
    finally:
        await server.stop(0)


def asked(monkeypatch: pytest.MonkeyPatch, address: str, settings: dict[str, str]) -> tuple[int, str]:
    for name, value in {"NOYAU_LISTEN__ADDRESS": address, "NOYAU_LISTEN__INSECURE": "true", **settings}.items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(build_app(), ["health", "--timeout", "30"])
    return done.exit_code, done.output


async def test_a_service_on_all_addresses_is_asked_on_the_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = await checked(monkeypatch, Binding("0.0.0.0:0", insecure=True), {})
    assert (code, "127.0.0.1:" in said) == (0, True), said


async def test_tls_of_any_name(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    settings = authority.issue("server")
    files = [Path(path) for path in settings.values()]
    code, said = await checked(monkeypatch, Binding("127.0.0.1:0", *files), settings)
    assert code == 0, said


async def test_the_service_shows_its_own_certificate_where_clients_must(
    monkeypatch: pytest.MonkeyPatch, authority: Authority
) -> None:
    settings = authority.issue("server")
    files = [Path(path) for path in settings.values()]
    mutual = {**settings, "NOYAU_LISTEN__TLS_CLIENT_CA": str(authority.file)}
    code, said = await checked(monkeypatch, Binding("127.0.0.1:0", *files, authority.file), mutual)
    assert code == 0, said


async def test_another_service_on_the_port_is_not_healthy(
    monkeypatch: pytest.MonkeyPatch, authority: Authority, tmp_path: Path
) -> None:
    ours = authority.issue("server")
    (tmp_path / "other").mkdir()
    other = [Path(path) for path in Authority(tmp_path / "other").issue("server").values()]
    code, said = await checked(monkeypatch, Binding("127.0.0.1:0", *other), ours)
    assert code == 7, said


def test_addresses_that_stand_for_all() -> None:
    assert own_address("0.0.0.0:1") == "127.0.0.1:1"
    assert own_address("[::]:1") == "[::1]:1"
    assert own_address("unix:/run/noyau.sock") == "unix:/run/noyau.sock"
    assert own_address("192.0.2.7:1") == "192.0.2.7:1"


def test_nobody_there(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    for settings in ({}, authority.issue("server")):
        code, said = asked(monkeypatch, "127.0.0.1:1", settings)
        assert code == 7, said
        assert "127.0.0.1:1" in said
