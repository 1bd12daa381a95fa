"""Tokens and certificates for tests: good ones, and bad ones of every kind."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import ipaddress
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

ISSUER = "https://login.example.org/realms/lab"
AUDIENCE = "noyau"


class Issuer:
    """Signs tokens with an elliptic and an RSA key, and publishes the public halves of both."""

    def __init__(self) -> None:
        self.elliptic = ec.generate_private_key(ec.SECP256R1())
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwks(self) -> dict[str, Any]:
        """The published set; the RSA key does not say which algorithm it is for, as with some issuers."""
        elliptic = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.elliptic.public_key()))
        plain = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.rsa.public_key()))
        return {
            "keys": [
                {**elliptic, "kid": "elliptic", "alg": "ES256", "use": "sig"},
                {**plain, "kid": "rsa"},
                {"kty": "RSA", "use": "enc", "kid": "encryption", "n": plain["n"], "e": plain["e"]},
            ]
        }

    def publish(self, path: Path) -> Path:
        path.write_text(json.dumps(self.jwks()))
        return path

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Good ones, with changes; None takes a claim away."""
        now = int(time.time())
        good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 600, "groups": ["imaging"]}
        return {name: value for name, value in {**good, **changes}.items() if value is not None}

    def token(self, *, kid: str | None = "elliptic", algorithm: str = "ES256", key: Any = None, **changes: Any) -> str:
        """A token of the claims, by default a good one."""
        own = self.rsa if algorithm[:2] in ("RS", "PS") else self.elliptic
        headers = {} if kid is None else {"kid": kid}
        return jwt.encode(self.claims(**changes), key or own, algorithm=algorithm, headers=headers)

    def unsigned(self, **changes: Any) -> str:
        """`alg: none`."""
        return raw_token({"alg": "none", "typ": "JWT", "kid": "elliptic"}, self.claims(**changes), b"")

    def confused(self, **changes: Any) -> str:
        """HS256 with the published RSA key as the secret: what a careless verifier would take."""
        secret = self.rsa.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return raw_token({"alg": "HS256", "typ": "JWT", "kid": "rsa"}, self.claims(**changes), secret)


def raw_token(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    """A token made by hand, signed with HMAC-SHA-256, or not at all where the secret is empty."""
    body = b".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
    signature = hmac.new(secret, body, hashlib.sha256).digest() if secret else b""
    return (body + b"." + _encoded(signature)).decode()


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@dataclass(frozen=True)
class Pem:
    """Files of a certificate and its key."""

    certificate: Path
    key: Path

    @property
    def thumbprint(self) -> str:
        """As a token that is bound to it has it (RFC 8705)."""
        found = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        return _encoded(found.fingerprint(hashes.SHA256())).decode()


class Authority:
    """Signs certificates for this machine."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self.file = folder / "ca.pem"
        self.file.write_bytes(self._sign(self._name, self._key, authority=True))

    def issue(self, name: str, ended_days_ago: float = -1) -> Pem:
        """A certificate with that common name; by default it ends tomorrow."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem = Pem(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        pem.certificate.write_bytes(self._sign(subject, key, authority=False, ended_days_ago=ended_days_ago))
        pem.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return pem

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool, ended_days_ago: float = -1
    ) -> bytes:
        end = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=ended_days_ago)
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - datetime.timedelta(days=3))
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
