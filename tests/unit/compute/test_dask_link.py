"""Which schedulers a process connects to, and what it says where it does not."""

from __future__ import annotations

import datetime
import ipaddress
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from noyau.compute.dask_link import SchedulerPlace, connect
from noyau.domain.errors import FailedPrecondition, InvalidInput, Unauthenticated, Unavailable

PATIENCE = 120


def nothing() -> None:
    """A check that lets everything go on."""


def certificates(folder: Path) -> Path:
    """An authority (ca.pem) and one certificate for this machine (node.pem, node.key)."""
    folder.mkdir()
    authority, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority {folder.name}")])
    now = datetime.datetime.now(datetime.UTC)
    for name, key, subject in (("ca", authority, issuer), ("node", own, None)):
        wanted = subject or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")])
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(wanted)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=subject is not None, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(authority, hashes.SHA256())
        )
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = own.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "node.key").write_bytes(private)
    return folder


def place_with(folder: Path, address: str, patience: float = 0) -> SchedulerPlace:
    files = [str(folder / name) for name in ("ca.pem", "node.pem", "node.key")]
    return SchedulerPlace(address, None, *files, patience=patience)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates(tmp_path_factory.mktemp("tls") / "own")


@pytest.fixture(scope="module")
def scheduler(own: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A scheduler with TLS; its file, which says the address."""
    folder = tmp_path_factory.mktemp("scheduler")
    file = folder / "scheduler.json"
    command = [sys.executable, "-W", "ignore", "-m", "distributed.cli.dask_scheduler", "--host", "tls://127.0.0.1"]
    command += ["--protocol", "tls", "--port", "0", "--no-dashboard", "--no-show", "--scheduler-file", str(file)]
    command += ["--tls-ca-file", str(own / "ca.pem"), "--tls-cert", str(own / "node.pem")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--tls-key", str(own / "node.key")], stdout=log, stderr=log)
    deadline = time.monotonic() + PATIENCE
    while not file.exists():
        assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.1)
    yield file
    process.kill()
    process.wait()


def address_of(file: Path) -> str:
    return str(json.loads(file.read_text())["address"])


def test_a_certificate_of_the_same_authority_is_let_in(scheduler: Path, own: Path) -> None:
    place = replace(place_with(own, "", patience=PATIENCE), file=scheduler)
    assert place.find().startswith("tls://127.0.0.1:")
    client = connect(place, nothing)
    assert client.scheduler_info()["workers"] == {}
    client.close()


def test_a_certificate_of_another_authority_is_not(scheduler: Path, tmp_path: Path) -> None:
    other = certificates(tmp_path / "other")
    with pytest.raises(Unauthenticated, match="do not accept each other's certificates") as caught:
        connect(place_with(other, address_of(scheduler), patience=PATIENCE), nothing)
    assert "tls_ca" in caught.value.remedy


def test_a_key_of_another_certificate_is_named(scheduler: Path, own: Path, tmp_path: Path) -> None:
    other = certificates(tmp_path / "other")
    mixed = replace(place_with(own, address_of(scheduler)), key=str(other / "node.key"))
    with pytest.raises(FailedPrecondition, match=r"cannot be used: .*node\.key"):
        connect(mixed, nothing)
    with pytest.raises(FailedPrecondition, match="cannot be used"):
        connect(replace(mixed, key=str(tmp_path / "absent")), nothing)


def test_nobody_there() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    told: list[str] = []
    with pytest.raises(Unavailable, match=f"scheduler at tcp://127.0.0.1:{port} does not answer") as caught:
        connect(SchedulerPlace(f"tcp://127.0.0.1:{port}", patience=4), nothing, told.append)
    assert caught.value.remedy
    assert len(told) == 1 and "Trying again" in told[0]


def test_places_that_are_refused_before_anything_is_opened(tmp_path: Path, own: Path) -> None:
    with pytest.raises(FailedPrecondition, match="does not use TLS"):
        SchedulerPlace("tcp://192.0.2.7:8786").find()
    assert SchedulerPlace("tcp://192.0.2.7:8786", insecure=True).find() == "tcp://192.0.2.7:8786"
    assert SchedulerPlace("tcp://localhost:8786").find() == "tcp://localhost:8786"
    with pytest.raises(InvalidInput, match="no certificate is set"):
        SchedulerPlace("tls://192.0.2.7:8786").find()
    for address in ("192.0.2.7", "http://host:1", "tls://host"):
        with pytest.raises(InvalidInput, match="is no address"):
            place_with(own, address).find()
    with pytest.raises(Unavailable, match="does not exist"):
        SchedulerPlace(file=tmp_path / "absent.json").find()
    (tmp_path / "half.json").write_text("{")
    with pytest.raises(Unavailable, match="is not one"):
        SchedulerPlace(file=tmp_path / "half.json").find()
