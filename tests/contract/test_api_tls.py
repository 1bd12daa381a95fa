"""Beyond the machine: TLS, and client certificates where the operator asks for them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from forge import AUDIENCE, ISSUER, Authority, Issuer
from noyau.api.binding import Binding
from noyau.api.gate import Gate
from noyau.api.grants import Grants
from noyau.api.guard import Protection
from noyau.api.keys import KeyRing
from noyau.api.server import ApiServer, Services
from noyau.api.tokens import TokenRules, TokenVerifier
from noyau.cli import build_app
from noyau.client import Client, Security
from noyau.domain.catalogue import Catalogue
from noyau.domain.errors import FailedPrecondition, InvalidInput, NotFound, Unavailable
from typer.testing import CliRunner


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


async def test_a_service_whose_certificate_has_expired_is_not_talked_to(authority: Authority) -> None:
    pem = authority.issue("old-server", ended_days_ago=1)
    with pytest.raises(Unavailable):
        await listed(Binding("127.0.0.1:0", pem.certificate, pem.key), Security(ca=authority.file))


async def test_client_certificates_are_asked_for(authority: Authority, tmp_path: Path) -> None:
    server, client = authority.issue("server"), authority.issue("client")
    stranger = Authority(tmp_path / "other").issue("stranger")
    binding = Binding("127.0.0.1:0", server.certificate, server.key, authority.file)
    good = Security(ca=authority.file, certificate=client.certificate, key=client.key)
    desk = NoJobs()
    assert await listed(binding, good, desk) == ()
    assert desk.callers == ["client"], "the certificate says who it is, whatever the caller says"
    assert await listed(Binding("127.0.0.1:0"), Security(), desk) == ()
    assert desk.callers[1:] == ["somebody else"]
    expired = authority.issue("expired", ended_days_ago=1)
    future = authority.issue("future", ended_days_ago=-10)
    for bad in (
        Security(ca=authority.file),
        Security(ca=authority.file, certificate=expired.certificate, key=expired.key),
        Security(ca=authority.file, certificate=future.certificate, key=future.key),
        Security(ca=authority.file, certificate=client.certificate, key=stranger.key),
        Security(ca=authority.file, certificate=stranger.certificate, key=stranger.key),
    ):
        with pytest.raises(Unavailable):
            await listed(binding, bad)


async def test_every_command_can_show_a_certificate_or_a_token(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = authority.issue("server"), authority.issue("ops")
    issuer = Issuer()
    keys = KeyRing(str(issuer.publish(tmp_path / "keys.json")), 300)
    grants = Grants(frozenset({"certificate:ops", "role:operator"}))
    gate = Gate(True, grants, TokenVerifier(TokenRules(ISSUER, (AUDIENCE,)), keys))
    desk: Any = NoJobs()
    running = ApiServer(
        Services(desk, desk, desk, desk),
        Binding("127.0.0.1:0", server.certificate, server.key, authority.file),
        crop_bytes=1000,
        concurrent_calls=10,
        protection=Protection(gate),
    )
    await running.start()

    def ask(*options: str) -> Any:
        arguments = ["models", "alias", "m", "a", "--remove", "--server", running.address, *options]
        return CliRunner().invoke(build_app(), arguments)

    shown = (
        "--tls-ca",
        str(authority.file),
        "--tls-certificate",
        str(client.certificate),
        "--tls-key",
        str(client.key),
    )
    (tmp_path / "token").write_text(issuer.token(sub="boss", roles=["operator"]) + "\n")
    (tmp_path / "user").write_text(issuer.token())
    try:
        assert (await asyncio.to_thread(ask, *shown)).exit_code == 0
        assert (await asyncio.to_thread(ask, *shown, "--token-file", str(tmp_path / "token"))).exit_code == 0
        monkeypatch.setenv("NOYAU_TOKEN", issuer.token(sub="from-environment", roles=["operator"]))
        assert (await asyncio.to_thread(ask, *shown)).exit_code == 0
        refused = await asyncio.to_thread(ask, *shown, "--token-file", str(tmp_path / "user"))
        assert refused.exit_code == 6 and "token:ada may not change" in refused.stderr
        half = await asyncio.to_thread(ask, *shown[:4])
        assert half.exit_code == 3 and "needs its key" in half.stderr
        assert (await asyncio.to_thread(ask, *shown[:2])).exit_code == 7
    finally:
        await running.stop(0)
    assert desk.callers == ["certificate:ops", "token:boss", "token:from-environment"]


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
