"""A certificate for TLS, made for one run."""

from __future__ import annotations

import datetime
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import PrivateFormat, pkcs12
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificate:
    """A file with key and certificate.

    Attributes:
        path: PKCS 12.
        password: Of the file.
    """

    path: Path
    password: str


def make_certificate(folder: Path) -> Certificate:
    """A self-signed certificate for `localhost`, in the old encryption that Ice 3.6 reads."""
    folder.mkdir(parents=True, exist_ok=True)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(
        now + datetime.timedelta(days=30)
    )
    certificate = builder.sign(key, hashes.SHA256())
    password = secrets.token_hex(8)
    encryption = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(2048)
        .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        .hmac_hash(hashes.SHA1())
        .build(password.encode())
    )
    path = folder / "server.p12"
    path.write_bytes(pkcs12.serialize_key_and_certificates(b"server", key, certificate, None, encryption))
    return Certificate(path, password)
