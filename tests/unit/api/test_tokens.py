"""Which tokens are believed, and which are not."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from forge import AUDIENCE, ISSUER, Issuer, raw_token
from noyau.api import keys as keys_module
from noyau.api.keys import KeyRing, parse_keys, reader_of
from noyau.api.tokens import TokenRules, TokenVerifier
from noyau.domain.errors import FailedPrecondition, Unauthenticated, Unavailable

RULES = TokenRules(ISSUER, (AUDIENCE,))


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
def verifier(issuer: Issuer) -> TokenVerifier:
    return TokenVerifier(RULES, KeyRing("test", 300, lambda: json.dumps(issuer.jwks()).encode()))


def refusal(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        verifier.verify(token)
    assert caught.value.remedy
    for part in token.split("."):
        assert len(part) < 8 or part not in str(caught.value), "no part of a token may be told"
    return caught.value.cause


@pytest.mark.parametrize(("kid", "algorithm"), [("elliptic", "ES256"), ("rsa", "RS256"), ("rsa", "PS256")])
def test_a_good_token_says_who_calls(issuer: Issuer, verifier: TokenVerifier, kid: str, algorithm: str) -> None:
    facts = verifier.verify(issuer.token(kid=kid, algorithm=algorithm, roles=["noyau-operator"]))
    assert (facts.user, facts.groups, facts.roles) == ("ada", ("imaging",), ("noyau-operator",))
    assert facts.once == "" and facts.certificate == ""
    assert 600 < facts.expires - time.time() < 640


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"exp": int(time.time()) - 60, "iat": int(time.time()) - 600}, "has expired"),
        ({"nbf": int(time.time()) + 600}, "not valid yet"),
        ({"iat": int(time.time()) + 600}, "not valid yet"),
        ({"aud": "another-service"}, "another service"),
        ({"aud": ["a", "b"]}, "another service"),
        ({"aud": None}, "lacks a claim"),
        ({"iss": "https://evil.example.org"}, "another issuer"),
        ({"iss": ISSUER + "/"}, "another issuer"),
        ({"iss": None}, "lacks a claim"),
        ({"exp": None}, "lacks a claim"),
        ({"iat": None}, "lacks a claim"),
        ({"iat": int(time.time()) - 90_000, "exp": int(time.time()) + 10**7}, "24 hours ago"),
        ({"sub": None}, "no usable name"),
        ({"sub": ""}, "no usable name"),
        ({"sub": "a\nb"}, "no usable name"),
        ({"sub": "x" * 500}, "no usable name"),
        ({"sub": ["ada"]}, "no usable name"),
        ({"groups": [1]}, "claim 'groups'"),
        ({"groups": {"a": 1}}, "claim 'groups'"),
        ({"roles": ["x"] * 2000}, "claim 'roles'"),
        ({"noyau_once": True}, r"no identifier \(jti\)"),
        ({"cnf": {"jkt": "abc"}}, "bound to its holder"),
        ({"cnf": "abc"}, "bound to its holder"),
        ({"exp": "soon"}, ""),
        ({"exp": float("inf")}, ""),
        ({"iat": "never"}, ""),
    ],
)
def test_tokens_that_do_not_hold_are_refused_with_the_reason(
    issuer: Issuer, verifier: TokenVerifier, changes: dict[str, Any], cause: str
) -> None:
    import re

    assert re.search(cause, refusal(verifier, issuer.token(**changes)))


def test_clocks_may_differ_a_little(issuer: Issuer, verifier: TokenVerifier) -> None:
    now = int(time.time())
    assert verifier.verify(issuer.token(exp=now - 10, iat=now - 100)).user == "ada"
    assert verifier.verify(issuer.token(iat=now + 15, nbf=now + 15)).user == "ada"


def test_forged_tokens_are_refused(issuer: Issuer, verifier: TokenVerifier) -> None:
    stranger = Issuer()
    assert "algorithm" in refusal(verifier, issuer.unsigned())
    assert "algorithm" in refusal(verifier, issuer.confused())
    assert "algorithm" in refusal(verifier, raw_token({"alg": ["ES256"], "kid": "elliptic"}, issuer.claims(), b""))
    assert "not its issuer's" in refusal(verifier, stranger.token())
    assert "does not publish" in refusal(verifier, issuer.token(kid="made-up"))
    assert "does not publish" in refusal(verifier, issuer.token(kid=None))
    assert "does not publish" in refusal(verifier, issuer.token(kid="encryption", algorithm="RS256"))
    assert "another algorithm" in refusal(verifier, issuer.token(kid="elliptic", algorithm="RS256"))
    head, body, signature = issuer.token().split(".")
    operator = issuer.token(roles=["noyau-operator"], key=stranger.elliptic).split(".")[1]
    assert "not its issuer's" in refusal(verifier, f"{head}.{operator}.{signature}")
    assert "cannot be read" in refusal(verifier, f"{head}.{body}")
    assert refusal(verifier, f"{head}.{body}.")
    critical = raw_token({"alg": "ES256", "kid": "elliptic", "crit": ["exp"], "exp": 1}, issuer.claims(), b"k")
    assert refusal(verifier, critical)


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "[" * 9000, "\x00", "é.é.é", "A" * 20_000, "eyJ9.e30."])
def test_rubbish_is_refused_and_breaks_nothing(verifier: TokenVerifier, token: str) -> None:
    assert refusal(verifier, token)


def test_claims_are_found_where_the_operator_says(issuer: Issuer) -> None:
    rules = TokenRules(ISSUER, (AUDIENCE,), user="email", groups="lab.groups", roles="realm_access.roles", once="one")
    verifier = TokenVerifier(rules, KeyRing("test", 300, lambda: json.dumps(issuer.jwks()).encode()))
    token = issuer.token(
        email="ada@example.org", lab={"groups": "solo"}, realm_access={"roles": ["a", "b", "a"]}, one=True, jti="7"
    )
    facts = verifier.verify(token)
    assert (facts.user, facts.groups, facts.roles) == ("ada@example.org", ("solo",), ("a", "b"))
    assert facts.once == f"{ISSUER} 7"


def test_keys_are_read_again_for_a_new_name_but_not_for_every_made_up_one(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(keys_module.time, "monotonic", lambda: clock[0])
    published = [issuer.jwks()["keys"][0]]
    reads: list[int] = []

    def fetch() -> bytes:
        reads.append(1)
        return json.dumps({"keys": published}).encode()

    ring = KeyRing("test", 300, fetch)
    assert ring.find("elliptic") is not None
    for _ in range(50):
        assert ring.find("made-up") is None
    assert len(reads) == 1
    published.append(issuer.jwks()["keys"][1])
    clock[0] += 31
    assert ring.find("rsa") is not None
    assert len(reads) == 2
    clock[0] += 301
    assert ring.find("elliptic") is not None
    assert len(reads) == 3


def test_an_issuer_that_is_down_stops_nobody_for_an_hour(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(keys_module.time, "monotonic", lambda: clock[0])
    up = [True]
    tries: list[int] = []

    def fetch() -> bytes:
        tries.append(1)
        if not up[0]:
            raise OSError("no route")
        return json.dumps(issuer.jwks()).encode()

    ring = KeyRing("test", 300, fetch)
    up[0] = False
    with pytest.raises(Unavailable, match="cannot be read"):
        ring.find("elliptic")
    with pytest.raises(Unavailable):
        ring.find("elliptic")
    assert len(tries) == 1, "a URL that is down is not asked with every call"
    up[0] = True
    clock[0] += 31
    assert ring.find("elliptic") is not None
    up[0] = False
    clock[0] += 400
    assert ring.find("elliptic") is not None
    clock[0] += 4000
    with pytest.raises(Unavailable):
        ring.find("elliptic")


@pytest.mark.parametrize(
    "data",
    [b"", b"no json", b"[]", b"{}", b'{"keys": []}', b'{"keys": 7}', b'{"keys": [7]}', b'{"keys": [{"kty": "oct"}]}'],
)
def test_what_is_no_set_of_public_keys_is_told(data: bytes) -> None:
    with pytest.raises(FailedPrecondition):
        parse_keys(data, "here")


def test_keys_come_from_a_file_or_by_tls(issuer: Issuer, tmp_path: Path) -> None:
    ring = KeyRing(str(issuer.publish(tmp_path / "keys.json")), 300)
    assert ring.find("rsa") is not None
    with pytest.raises(FailedPrecondition, match="without TLS"):
        reader_of("http://login.example.org/keys")
    with pytest.raises(Unavailable):
        KeyRing(str(tmp_path / "none.json"), 300).find("rsa")
