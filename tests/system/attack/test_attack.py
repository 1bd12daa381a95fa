"""What the service does to those who mean it no good: each is refused, and then it serves the next caller as before."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from typing import Any

import grpc
import pytest
from connections import held, possible
from forge import Issuer
from fuzz import Fuzzer, methods
from http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    connect,
    drained,
    frame,
    header_block,
    request_headers,
)
from noyau.client import Client
from noyau.domain.errors import LimitExceeded, Unauthenticated
from noyau.v1 import jobs_pb2
from target import CALLS_AT_ONCE, CONCURRENT_CALLS, REQUEST_SECONDS, Target

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LIST = "/noyau.v1.JobService/List"
CONNECTIONS = 10_000
"""As many as this machine lets a process open, where that is fewer."""


@pytest.fixture(autouse=True)
def _still_well(target: Target) -> Any:
    """After each attack the service answers health and does its work, and met no bug of ours."""
    yield
    target.check()
    assert target.incidents() == []


def status_of(target: Target, data: bytes, metadata: Any = None, method: str = LIST) -> grpc.StatusCode:
    """How a call with these bytes ends."""
    with grpc.insecure_channel(target.address, options=[("grpc.max_send_message_length", -1)]) as channel:
        try:
            channel.unary_unary(method)(data, metadata=metadata, timeout=60)
        except grpc.RpcError as error:
            found: grpc.StatusCode = error.code()
            return found
    return grpc.StatusCode.OK


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def test_forged_expired_and_foreign_tokens_are_refused(target: Target) -> None:
    issuer, now = target.issuer, int(time.time())
    forged = {
        "none": issuer.unsigned(roles=["operator"]),
        "public key as a secret": issuer.confused(roles=["operator"]),
        "another's key": Issuer().token(roles=["operator"]),
        "unknown key": issuer.token(kid="made-up"),
        "expired": issuer.token(iat=now - 7200, exp=now - 3600),
        "not yet": issuer.token(nbf=now + 3600),
        "another service": issuer.token(aud="another"),
        "another issuer": issuer.token(iss="https://evil.example.org"),
        "nobody": issuer.token(sub=None),
        "rubbish": "a.b.c",
    }
    for what, token in forged.items():
        with Client(target.address, token=token, timeout=60) as client, pytest.raises(Unauthenticated):
            client.list()
        assert status_of(target, b"", bearer(token)) is grpc.StatusCode.UNAUTHENTICATED, what


def test_a_token_that_was_overheard_is_of_no_use_where_it_was_for_one_call(target: Target) -> None:
    token = target.issuer.token(noyau_once=True, jti=f"once-{time.time()}")
    assert status_of(target, b"", bearer(token)) is grpc.StatusCode.OK
    for _ in range(3):
        assert status_of(target, b"", bearer(token)) is grpc.StatusCode.UNAUTHENTICATED


def test_refused_callers_and_their_tokens_are_written_down_without_the_token(target: Target) -> None:
    token = target.issuer.token(aud="another")
    assert status_of(target, b"", bearer(token)) is grpc.StatusCode.UNAUTHENTICATED
    written = (target.folder / "audit.jsonl").read_text() + target.log()
    assert '"UNAUTHENTICATED"' in written
    assert not any(part in written for part in token.split("."))


def test_broken_messages_are_refused(target: Target) -> None:
    good = bearer(target.issuer.token())
    for data in (b"\xff", b"\xff" * 100, b"\x0a\xff\xff\xff\xff\x0f", b"\x00", b"\x0b\x0b"):
        assert status_of(target, data, good) is grpc.StatusCode.INVALID_ARGUMENT
    assert status_of(target, b"\xff", None) is grpc.StatusCode.UNAUTHENTICATED
    deep = b""
    for _ in range(150):
        deep = b"\x0a" + bytes((min(len(deep), 127),)) + deep[:127]
    assert status_of(target, deep, good) in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OK)


def test_messages_beyond_the_limit_are_refused_and_not_kept(target: Target) -> None:
    before = target.memory_mib()
    good = bearer(target.issuer.token())
    request = jobs_pb2.ListJobsRequest(page_token="x" * 20 * 2**20).SerializeToString()
    for _ in range(10):
        assert status_of(target, request, good) is grpc.StatusCode.RESOURCE_EXHAUSTED
    refused = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert status_of(target, request, None) in refused
    assert target.memory_mib() < before + 150


def test_headers_beyond_the_limit_are_refused(target: Target) -> None:
    good = bearer(target.issuer.token())
    for more in ((("x-large", "a" * 200_000),), tuple((f"x-{number}", "a" * 1000) for number in range(500))):
        assert status_of(target, b"", (*good, *more)) is not grpc.StatusCode.OK
    assert status_of(target, b"", bearer("A" * 60_000)) is not grpc.StatusCode.OK
    assert status_of(target, b"", (*good, *good)) is grpc.StatusCode.UNAUTHENTICATED


def test_callers_who_open_calls_and_send_nothing_lose_their_places(target: Target) -> None:
    """Slow-loris: as many calls as the service serves at once, all without their message."""
    calls = request_headers(LIST, ("authorization", f"Bearer {target.issuer.token(sub='loris')}"))
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            connection = stack.enter_context(connect(target.host_and_port))
            for number in range(CONCURRENT_CALLS):
                connection.sendall(frame(HEADERS, calls, END_HEADERS, 2 * number + 1))
        # One caller does not get all places, so that another one is served at once, not when these have timed out.
        began = time.monotonic()
        with target.client(sub="quick") as client:
            client.list()
        assert CALLS_AT_ONCE < CONCURRENT_CALLS
        # Without a proof no place is taken at all.
        stranger = stack.enter_context(connect(target.host_and_port))
        for number in range(CONCURRENT_CALLS):
            stranger.sendall(frame(HEADERS, request_headers(LIST), END_HEADERS, 2 * number + 1))
        time.sleep(max(0.0, began + REQUEST_SECONDS + 2 - time.monotonic()))
        with target.client(sub="loris") as client:
            client.list()


def test_calls_that_need_no_proof_do_not_take_the_places_of_those_that_do(target: Target) -> None:
    """Health is watched for ever, reflection asked nothing, and health checked without a message."""
    methods_and_messages = (
        ("/grpc.health.v1.Health/Watch", b"\x00\x00\x00\x00\x00"),
        ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", b""),
        ("/grpc.health.v1.Health/Check", b""),
    )
    for method, message in methods_and_messages:
        with connect(target.host_and_port) as connection:
            for number in range(CONCURRENT_CALLS):
                connection.sendall(frame(HEADERS, request_headers(method), END_HEADERS, 2 * number + 1))
                if message:
                    connection.sendall(frame(DATA, message, END_STREAM, 2 * number + 1))
            drained(connection, 0.5)
            with target.client(sub="quick") as client:
                client.list()


def test_a_request_that_drips_is_given_up(target: Target) -> None:
    headers = request_headers(LIST, ("authorization", f"Bearer {target.issuer.token(sub='drip')}"))
    message = b"\x00" + struct.pack(">I", 1000) + b"\x1a" * 1000
    with connect(target.host_and_port) as connection:
        connection.sendall(frame(HEADERS, headers, END_HEADERS, 1))
        end = time.monotonic() + REQUEST_SECONDS + 5
        for byte in message:
            with contextlib.suppress(OSError):
                connection.sendall(frame(DATA, bytes((byte,)), 0, 1))
            if time.monotonic() > end:
                break
            time.sleep(0.05)
        with target.client(sub="drip") as client:
            client.list()


def test_connections_that_never_say_what_they_want_do_no_harm(target: Target) -> None:
    """Nothing, half a greeting, no greeting of ours, a header that never ends."""
    headers = request_headers(LIST)
    with contextlib.ExitStack() as stack:
        for start in (
            b"",
            PREFACE[:10],
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01",
            b"\x00" * 99,
        ):
            for _ in range(20):
                connection = stack.enter_context(socket.create_connection(target.host_and_port, 10))
                with contextlib.suppress(OSError):
                    connection.sendall(start)
        for _ in range(20):
            connection = stack.enter_context(connect(target.host_and_port))
            connection.sendall(frame(HEADERS, headers[:20], 0, 1))
        target.check()


def test_frames_that_break_the_rules_end_the_connection_and_nothing_else(target: Target) -> None:
    headers = request_headers(LIST)
    attacks = {
        "frame that is too large": frame(DATA, b"x" * 70_000, 0, 1),
        "data of a stream that was never opened": frame(DATA, b"x", 0, 1),
        "even stream": frame(HEADERS, headers, END_HEADERS, 2),
        "headers that cannot be decoded": frame(HEADERS, b"\xff\xff\xff\xff\xff\xff\xff\xff", END_HEADERS, 1),
        "settings of a wrong length": frame(SETTINGS, b"12345"),
        "unknown frames": b"".join(frame(200, b"x" * 100) for _ in range(1000)),
        "continuation of nothing": frame(CONTINUATION, b"x", 0, 1),
        "many settings": b"".join(frame(SETTINGS) for _ in range(5000)),
    }
    for data in attacks.values():
        with connect(target.host_and_port) as connection:
            with contextlib.suppress(OSError):
                connection.sendall(data)
            drained(connection, 0.2)
    target.check()


def test_a_header_that_goes_on_for_ever_is_cut_off(target: Target) -> None:
    """CONTINUATION frames without an end (CVE-2024-27316 and its kin)."""
    before = target.memory_mib()
    with connect(target.host_and_port) as connection, contextlib.suppress(OSError):
        connection.sendall(frame(HEADERS, request_headers(LIST), 0, 1))
        filling = frame(CONTINUATION, header_block((("x-a", "a" * 120),)) * 100, 0, 1)
        for _ in range(15_000):
            connection.sendall(filling)
        # 200 MB of headers have been sent, and the service has not kept them.
        assert target.memory_mib() < before + 150
    assert target.memory_mib() < before + 150


def test_pings_and_resets_in_floods_cost_the_sender_the_connection_or_nothing(target: Target) -> None:
    headers = request_headers(LIST, ("authorization", f"Bearer {target.issuer.token(sub='reset')}"))
    before = target.memory_mib()
    with connect(target.host_and_port) as connection, contextlib.suppress(OSError):
        for _ in range(20_000):
            connection.sendall(frame(PING, b"12345678"))
    with connect(target.host_and_port) as connection, contextlib.suppress(OSError):
        # Rapid reset (CVE-2023-44487): calls that are opened and taken back at once.
        for number in range(3000):
            stream = 2 * number + 1
            cancel = frame(RST_STREAM, struct.pack(">I", 8), 0, stream)
            connection.sendall(frame(HEADERS, headers, END_HEADERS, stream) + cancel)
    target.check()
    assert target.memory_mib() < before + 150


def test_many_connections_leave_room_for_others_and_leave_nothing_behind(target: Target) -> None:
    count = possible(CONNECTIONS)
    files = target.open_files()
    with held(target.host_and_port, count) as connections:
        assert len(connections) > 0.9 * count
        target.check()
    end = time.monotonic() + 120
    while target.open_files() > files + 50 and time.monotonic() < end:
        time.sleep(0.2)
    assert target.open_files() <= files + 50


def test_one_caller_with_many_calls_does_not_take_the_places_of_others(target: Target) -> None:
    with target.client(sub="greedy") as greedy, target.client(sub="modest") as modest:
        from noyau.domain.image import ImageRef
        from noyau.domain.jobs import SegmentSpec

        job = greedy.submit(SegmentSpec((ImageRef(str(target.image)),)))
        watchers = [greedy.watch(job.id, patience=0) for _ in range(CALLS_AT_ONCE)]
        for watcher in watchers:
            next(watcher)
        with pytest.raises(LimitExceeded):
            greedy.list()
        assert modest.list().jobs == ()
        for watcher in watchers:
            watcher.close()
        greedy.cancel(job.id)


def test_callers_who_hang_up_in_the_middle_leave_nothing_behind(target: Target) -> None:
    """In the middle of the greeting, of the headers, of the message, and while the answer is on its way."""
    headers = frame(HEADERS, request_headers(LIST, *bearer(target.issuer.token(sub="hang-up"))), END_HEADERS, 1)
    whole = PREFACE + frame(SETTINGS) + headers + frame(DATA, b"\x00" + struct.pack(">I", 0), END_STREAM, 1)
    files = target.open_files()
    for number in range(400):
        with socket.create_connection(target.host_and_port, 10) as connection:
            connection.sendall(whole[: len(whole) * (number % 9) // 8])
    target.check()
    end = time.monotonic() + 60
    while target.open_files() > files + 20 and time.monotonic() < end:
        time.sleep(0.2)
    assert target.open_files() <= files + 20


def test_rubbish_to_every_rpc_never_makes_the_service_fail(target: Target) -> None:
    expires = int(time.time()) + 3600
    operator = target.issuer.token(roles=["operator"], exp=expires)
    tokens = (operator, operator, operator, target.issuer.token(exp=expires), target.issuer.unsigned(), None)
    seen = Fuzzer(target.address, tokens, 20261122, str(target.image), jobs=[target.new_job()]).run(10)
    assert seen.bugs == []
    assert {method for method, _ in seen.statuses} == {
        f"/{method.containing_service.full_name}/{method.name}" for method in methods()
    }
    assert len({status for _, status in seen.statuses}) > 3, "the fuzzer reaches nothing"
