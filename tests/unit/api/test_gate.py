"""Who calls, what they may do, and how often: the parts of the gate by themselves."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from forge import AUDIENCE, ISSUER, Authority, Issuer
from noyau.api.gate import Gate
from noyau.api.grants import Grants
from noyau.api.keys import KeyRing
from noyau.api.rates import Rates, TooFast, host_of
from noyau.api.tokens import TokenRules, TokenVerifier
from noyau.domain.errors import FailedPrecondition, NoyauError, PermissionRefused, Unauthenticated
from noyau.domain.principal import Principal, Sight

CALL = "/noyau.v1.JobService/Get"


class Context:
    """What gRPC tells of a call."""

    def __init__(self, *metadata: tuple[str, str], certificate: tuple[str, bytes] | None = None) -> None:
        self._metadata = metadata
        name, pem = certificate or ("", b"")
        self._tls = {"x509_common_name": [name.encode()], "x509_pem_cert": [pem]} if certificate else {}

    def invocation_metadata(self) -> Any:
        return self._metadata

    def auth_context(self) -> Any:
        return self._tls


class Desk:
    """OMERO, which knows one session."""

    def __init__(self) -> None:
        self.asked = 0

    def identify(self, alias: str, key: str) -> tuple[str, str]:
        self.asked += 1
        if key != "good":
            raise Unauthenticated("The OMERO server does not know the session key.", "Log in again.")
        return f"omero:{alias}:ada", "imaging"

    def check(self, owner: str, confirmed: bool, uris: Any) -> None: ...


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


def gate_of(issuer: Issuer | None = None, **given: Any) -> Gate:
    verifier = None
    if issuer is not None:
        keys = KeyRing("test", 300, lambda: json.dumps(issuer.jwks()).encode())
        verifier = TokenVerifier(TokenRules(ISSUER, (AUDIENCE,)), keys)
    return Gate(**{"closed": True, "tokens": verifier, **given})


async def admit(gate: Gate, context: Context, method: str = CALL) -> Principal:
    try:
        return await gate.admit(method, context)
    finally:
        gate.close()


def bearer(token: str) -> tuple[str, str]:
    return ("authorization", f"Bearer {token}")


async def test_an_open_service_lets_everybody_do_everything() -> None:
    caller = await admit(Gate(), Context(bearer("whatever")))
    assert caller == Principal.anyone()
    assert caller.sight is None and not caller.is_proven and caller.group_for("any") == "any"
    caller.require_operator("do this")


async def test_a_closed_service_lets_nobody_in_without_proof_but_tells_that_it_lives(issuer: Issuer) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await admit(gate_of(issuer, desk=Desk()), Context())
    assert "--token-file" in caught.value.remedy and "OMERO" in caught.value.remedy
    await admit(gate_of(issuer), Context(), "/inference.GRPCInferenceService/ServerLive")
    with pytest.raises(Unauthenticated):
        await admit(gate_of(issuer), Context(), "/inference.GRPCInferenceService/ModelInfer")


async def test_a_token_a_session_or_a_certificate_name_the_caller(issuer: Issuer) -> None:
    by_token = await admit(gate_of(issuer), Context(bearer(issuer.token())))
    assert (by_token.names, by_token.groups) == (("token:ada",), ("imaging",))
    session = (("noyau-omero-session", "good"), ("noyau-omero-server", "lab"))
    by_session = await admit(gate_of(desk=Desk()), Context(*session))
    assert (by_session.names, by_session.groups) == (("omero:lab:ada",), ("imaging",))
    both = await admit(gate_of(issuer, desk=Desk()), Context(bearer(issuer.token(groups=["it"])), *session))
    assert (both.names, both.groups) == (("omero:lab:ada", "token:ada"), ("imaging", "it"))
    shown = ("microscope-1", b"")
    by_certificate = await admit(gate_of(issuer), Context(certificate=shown))
    assert by_certificate.names == ("certificate:microscope-1",)
    through_gateway = await admit(gate_of(issuer), Context(bearer(issuer.token()), certificate=shown))
    assert through_gateway.names == ("token:ada",), "beside a token the certificate is the gateway's"


async def test_proofs_that_do_not_hold_or_hold_twice_are_refused(issuer: Issuer) -> None:
    good = bearer(issuer.token())
    for context in (
        Context(good, good),
        Context(("authorization", "Basic YWRhOmFkYQ==")),
        Context(("authorization", "Bearer")),
        Context(bearer("x.y.z")),
        Context(good, ("noyau-omero-session", "bad")),
        Context(bearer(issuer.token(aud="other")), ("noyau-omero-session", "good")),
        Context(certificate=("", b"")),
    ):
        with pytest.raises(Unauthenticated):
            await admit(gate_of(issuer, desk=Desk()), context)
    with pytest.raises(Unauthenticated, match="takes no tokens"):
        await admit(gate_of(desk=Desk()), Context(good))
    with pytest.raises(FailedPrecondition):
        await admit(gate_of(issuer), Context(("noyau-omero-session", "good")))


async def test_a_session_is_asked_about_once_a_minute_and_a_bad_one_every_time(issuer: Issuer) -> None:
    desk = Desk()
    gate = gate_of(desk=desk)
    for _ in range(5):
        await gate.admit(CALL, Context(("noyau-omero-session", "good")))
    assert desk.asked == 1
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await gate.admit(CALL, Context(("noyau-omero-session", "bad")))
    assert desk.asked == 3
    gate.close()


async def test_made_up_sessions_do_not_queue_up_without_end() -> None:
    free = threading.Event()

    class Slow(Desk):
        def identify(self, alias: str, key: str) -> tuple[str, str]:
            free.wait(20)
            return super().identify(alias, key)

    gate = gate_of(desk=Slow())
    calls = [
        asyncio.create_task(gate.admit(CALL, Context(("noyau-omero-session", f"made-up {number}"))))
        for number in range(40)
    ]
    await asyncio.sleep(0)
    with pytest.raises(TooFast, match="being confirmed"):
        await gate.admit(CALL, Context(("noyau-omero-session", "good")))
    free.set()
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert Counter(type(end) for end in ends) == {Unauthenticated: 32, TooFast: 8}
    assert (await gate.admit(CALL, Context(("noyau-omero-session", "good")))).is_proven
    gate.close()


async def test_a_token_for_one_call_is_good_for_one_call(issuer: Issuer) -> None:
    used: set[str] = set()

    def once(name: str, until: float) -> bool:
        assert until > time.time()
        fresh = name not in used
        used.add(name)
        return fresh

    context = Context(bearer(issuer.token(noyau_once=True, jti="a-1")))
    gate = gate_of(issuer, use_once=once)
    assert (await gate.admit(CALL, context)).name == "token:ada"
    with pytest.raises(Unauthenticated, match="used already"):
        await gate.admit(CALL, context)
    assert (await gate.admit(CALL, Context(bearer(issuer.token(noyau_once=True, jti="a-2"))))).name == "token:ada"
    gate.close()


async def test_a_bound_token_needs_its_certificate(issuer: Issuer, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own, other = authority.issue("own"), authority.issue("other")
    token = bearer(issuer.token(cnf={"x5t#S256": own.thumbprint}))
    pem = own.certificate.read_bytes()
    assert (await admit(gate_of(issuer), Context(token, certificate=("own", pem)))).name == "token:ada"
    for shown in (("own", other.certificate.read_bytes()), ("own", b"no pem"), None):
        with pytest.raises(Unauthenticated, match="bound to a certificate"):
            await admit(gate_of(issuer), Context(token, certificate=shown))


def test_roles_come_from_the_settings_and_from_nowhere_else() -> None:
    grants = Grants(
        frozenset({"role:noyau-operator", "certificate:ops"}),
        {"role:noyau-manager": ("*",), "token:eve": ("guests",)},
        {"certificate:microscope-1": ("imaging",)},
    )
    ada = grants.principal(("token:ada",), ["a", "b"], ["staff"])
    assert not ada.operator and ada.manages == () and ada.sight == Sight(("token:ada",), ())
    assert grants.principal(("token:ada",), roles=["noyau-operator"]).sight is None
    assert not grants.principal(("token:ops",)).operator
    assert not grants.principal(("token:x",), ["role:noyau-operator"]).operator, "a group is no role"
    assert grants.principal(("certificate:ops",)).operator
    manager = grants.principal(("token:bob",), ["a", "b"], ["noyau-manager"])
    assert manager.manages == ("a", "b") and manager.may_see("anyone", "a") and not manager.may_see("anyone", "c")
    eve = grants.principal(("token:eve",), ["a"])
    assert eve.manages == ("guests",) and eve.group_for("guests") == "guests" and not eve.may_see("x", "a")
    assert grants.principal(("certificate:microscope-1",)).group_for("") == "imaging"


def test_a_caller_submits_for_its_own_groups_only() -> None:
    ada = Principal(("token:ada",), ("a", "b"))
    assert (ada.group_for(""), ada.group_for("b")) == ("a", "b")
    with pytest.raises(PermissionRefused) as caught:
        ada.group_for("c")
    assert "a, b" in caught.value.remedy
    assert Principal(("token:solo",)).group_for("") == "token:solo"
    assert Principal(("token:ops",), operator=True).group_for("c") == "c"
    with pytest.raises(PermissionRefused, match="token:ada may not change"):
        ada.require_operator("change the registry of models")


def test_calls_per_minute_come_back_with_time_and_belong_to_one_caller() -> None:
    clock = [0.0]
    rates = Rates(per_minute=60, clock=lambda: clock[0])

    def call(who: str) -> None:
        with rates.one_call(who):
            pass

    for _ in range(60):
        call("ada")
    with pytest.raises(TooFast) as caught:
        call("ada")
    assert caught.value.wait == pytest.approx(1.0)
    assert "Try again in 1 s" in caught.value.remedy
    call("bob")
    clock[0] += 2.0
    call("ada")
    call("ada")
    with pytest.raises(TooFast):
        call("ada")
    for _ in range(1000):
        call("")


def test_calls_at_once_are_given_back_also_by_those_that_fail() -> None:
    rates = Rates(at_once=2)
    with rates.one_call("ada"), rates.one_call("ada"):
        with pytest.raises(TooFast, match="2 calls open"), rates.one_call("ada"):
            pass
        with rates.one_call("bob"):
            pass
    for _ in range(5):
        with pytest.raises(NoyauError), rates.one_call("ada"):
            raise NoyauError("failed")


def test_callers_that_come_from_everywhere_do_not_fill_the_memory() -> None:
    rates = Rates(per_minute=10)
    for number in range(25_000):
        with rates.one_call(f"10.{number}"):
            pass
    assert len(rates._callers) <= 10_000


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("ipv4:10.0.0.7:1234", "10.0.0.7"),
        ("ipv4:127.0.0.1:1234", ""),
        ("ipv6:%5B::1%5D:1234", ""),
        ("ipv6:[2001:db8::7]:1234", "2001:db8::7"),
        ("unix:/run/noyau.sock", ""),
        ("unix:", ""),
    ],
)
def test_this_machine_is_not_limited(peer: str, host: str) -> None:
    assert host_of(peer) == host
