"""A closed service: who is let in, who sees and cancels whose jobs, who changes models, and what is written down."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from forge import AUDIENCE, ISSUER, Issuer
from noyau.api.audit import AuditLog
from noyau.api.gate import Gate
from noyau.api.grants import Grants
from noyau.api.guard import Protection
from noyau.api.keys import KeyRing
from noyau.api.rates import Rates
from noyau.api.tokens import TokenRules, TokenVerifier
from noyau.client import Client, TokenFile
from noyau.domain.catalogue import Catalogue, ModelEntry, Origin
from noyau.domain.errors import (
    InvalidInput,
    LimitExceeded,
    NotFound,
    OutOfRange,
    PermissionRefused,
    Unauthenticated,
)
from noyau.domain.image import ImageRef
from noyau.domain.jobs import JobState, SegmentSpec
from noyau.domain.training_jobs import TrainSpec
from noyau.jobs.store import JobStore
from noyau.v1 import jobs_pb2, jobs_pb2_grpc

GRANTS = Grants(frozenset({"role:operator"}), {"role:manager": ("*",)})


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def protected(issuer: Issuer, tmp_path: Path) -> Callable[..., Callable[[JobStore], Protection]]:
    """What makes the protection of a service, with what is different for a test."""

    def make(**given: Any) -> Callable[[JobStore], Protection]:
        def build(store: JobStore) -> Protection:
            keys = KeyRing("test", 300, lambda: json.dumps(issuer.jwks()).encode())
            rules = TokenRules(ISSUER, (AUDIENCE,), leeway=given.get("leeway", 5.0))
            gate = Gate(True, GRANTS, TokenVerifier(rules, keys), None, store.use_once)
            audit = AuditLog(tmp_path / "audit.jsonl")
            return Protection(gate, given.get("rates", Rates()), audit, given.get("request_seconds", 10.0))

        return build

    return make


@pytest.fixture
def closed(start_api: Callable[..., Any], protected: Callable[..., Any]) -> Any:
    return start_api(protection=protected())


@pytest.fixture
def spec(image_folder: Path) -> SegmentSpec:
    return SegmentSpec((ImageRef(str(image_folder / "a.ome.zarr")),))


@pytest.fixture
def lines(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    """What the audit log holds."""
    return lambda: [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]


def test_nobody_gets_in_without_a_token_but_health_answers(closed: Any, spec: SegmentSpec) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with closed.client() as client:
        for call in (
            lambda: client.submit(spec),
            lambda: client.get("a"),
            lambda: client.list(),
            lambda: list(client.watch("a")),
            lambda: client.cancel("a"),
            lambda: client.models(),
            lambda: client.preview(np.ones((2, 3, 4), np.uint8)),
            lambda: client.registry.remove("nuclei-3d@1"),
            lambda: client.registry.register("anything"),
        ):
            with pytest.raises(Unauthenticated, match="has to know who calls"):
                call()
    assert closed.previewer.tasks == []
    with grpc.insecure_channel(closed.address) as channel:
        assert health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10).status == 1


def test_a_job_belongs_to_who_was_proven_whatever_the_request_says(
    closed: Any, issuer: Issuer, spec: SegmentSpec
) -> None:
    with closed.client(issuer.token()) as client:
        job = client.submit(spec, owner="omero:lab:root")
        assert (job.owner, job.group) == ("token:ada", "imaging")
        with pytest.raises(PermissionRefused, match="does not belong to the group 'others'"):
            client.submit(spec, group="others")


def test_a_user_sees_and_cancels_own_jobs_only_and_others_do_not_exist(
    closed: Any, issuer: Issuer, spec: SegmentSpec
) -> None:
    with closed.client(issuer.token()) as ada, closed.client(issuer.token(sub="bob")) as bob:
        job = ada.submit(spec)
        with pytest.raises(NotFound) as absent:
            bob.get("0123456789abcdef")
        for call in (
            lambda: bob.get(job.id),
            lambda: bob.cancel(job.id),
            lambda: list(bob.watch(job.id)),
            lambda: list(bob.watch(job.id, after=1)),
        ):
            with pytest.raises(NotFound) as hidden:
                call()
            assert str(hidden.value) == str(absent.value).replace("0123456789abcdef", job.id)
        assert bob.list().jobs == () and bob.list(owner="token:ada").jobs == () and bob.list(group="imaging").jobs == ()
        assert [found.id for found in ada.list().jobs] == [job.id]
        with pytest.raises(OutOfRange):
            list(ada.watch(job.id, after=99))
        assert ada.cancel(job.id).state is JobState.CANCELLED
        assert ada.get(job.id).state is JobState.CANCELLED


def test_a_manager_sees_the_group_and_an_operator_everything(closed: Any, issuer: Issuer, spec: SegmentSpec) -> None:
    with closed.client(issuer.token()) as ada, closed.client(issuer.token(sub="eve", groups=["other"])) as eve:
        own, foreign = ada.submit(spec), eve.submit(spec)
    with closed.client(issuer.token(sub="boss", roles=["manager"])) as boss:
        assert [job.id for job in boss.list().jobs] == [own.id]
        with pytest.raises(NotFound):
            boss.get(foreign.id)
        assert boss.cancel(own.id).state is JobState.CANCELLED
        with pytest.raises(PermissionRefused):
            boss.registry.remove("nuclei-3d@1")
    with closed.client(issuer.token(sub="ops", groups=[], roles=["operator"])) as operator:
        assert [job.id for job in operator.list().jobs] == [foreign.id, own.id]
        assert operator.submit(spec, group="any").group == "any"
        assert operator.cancel(foreign.id).state is JobState.CANCELLED


class Shelf:
    """Models of several makers; it notes who changes what."""

    def __init__(self, models: Any) -> None:
        self._models = models
        self.infos = models.infos
        self.dropped: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._models, name)

    def catalogue(self) -> Catalogue:
        makers = {"nuclei-2d": "", "nuclei-3d": "token:ada"}
        return Catalogue(tuple(ModelEntry(info, Origin.REGISTERED, by=makers[info.name]) for info in self.infos))

    def drop_alias(self, name: str, alias: str, by: str) -> None:
        self.dropped.append(by)


def test_models_are_changed_by_operators_and_trained_under_own_names(
    start_api: Callable[..., Any],
    protected: Callable[..., Any],
    fake_models: Any,
    issuer: Issuer,
    image_folder: Path,
    tmp_path: Path,
) -> None:
    shelf = Shelf(fake_models)
    running = start_api(models=shelf, protection=protected())
    data = (str(image_folder),)
    with running.client(issuer.token()) as ada:
        for change in (
            lambda: ada.registry.remove("nuclei-3d@1"),
            lambda: ada.registry.rollback("nuclei-3d"),
            lambda: ada.registry.set_alias("nuclei-3d", "production", "1"),
            lambda: ada.registry.drop_alias("nuclei-3d", "production"),
            lambda: ada.registry.register(str(image_folder)),
            lambda: ada.registry.register_archive(_archive(tmp_path)),
        ):
            with pytest.raises(PermissionRefused, match="may not change the registry"):
                change()
        assert len(ada.models()) == 2
        assert ada.submit(TrainSpec("nuclei-3d", data)).owner == "token:ada"
        assert ada.submit(TrainSpec("new-name", data)).owner == "token:ada"
        with pytest.raises(PermissionRefused, match="did not make"):
            ada.submit(TrainSpec("nuclei-2d", data))
        with pytest.raises(PermissionRefused, match="alias 'production'"):
            ada.submit(TrainSpec("new-name", data, alias="production"))
    with running.client(issuer.token(sub="ops", roles=["operator"])) as operator:
        operator.registry.drop_alias("nuclei-3d", "production", by="somebody else")
        operator.submit(TrainSpec("nuclei-2d", data, alias="production"))
    assert shelf.dropped == ["token:ops"]


def _archive(folder: Path) -> Path:
    path = folder / "a.zip"
    path.write_bytes(b"PK")
    return path


def test_a_token_for_one_call_is_good_for_one_call_also_at_another_coordinator(
    start_api: Callable[..., Any], protected: Callable[..., Any], issuer: Issuer, spec: SegmentSpec
) -> None:
    first, second = (start_api(protection=protected()) for _ in range(2))
    token = issuer.token(noyau_once=True, jti="only-once")
    with first.client(token) as client:
        assert client.submit(spec).owner == "token:ada"
        with pytest.raises(Unauthenticated, match="used already"):
            client.submit(spec)
    with second.client(token) as client, pytest.raises(Unauthenticated, match="used already"):
        client.models()


def test_a_watch_ends_with_its_token_and_goes_on_with_a_new_one(
    start_api: Callable[..., Any], protected: Callable[..., Any], issuer: Issuer, spec: SegmentSpec, tmp_path: Path
) -> None:
    running = start_api(protection=protected(leeway=0.0))
    file = tmp_path / "token"
    file.write_text(issuer.token())
    with Client(running.address, timeout=10, token=TokenFile(file)) as client:
        job = client.submit(spec)
        short = issuer.token(exp=int(time.time()) + 2)
        file.write_text(short)
        events = client.watch(job.id)
        assert next(events).seq == 1
        time.sleep(2.5)
        # Nobody renews it: the next event is not told.
        running.store.request_cancel(job.id)
        with pytest.raises(Unauthenticated, match="expired"):
            next(events)
        second = client_job(client, issuer, file, spec)
        events = client.watch(second)
        assert next(events).seq == 1
        file.write_text(issuer.token(jti="renewed"))
        time.sleep(2.5)
        running.store.request_cancel(second)
        assert [event.payload["state"] for event in events] == ["CANCELLED"]


def client_job(client: Client, issuer: Issuer, file: Path, spec: SegmentSpec) -> str:
    """A job; the file then holds a token that expires soon."""
    file.write_text(issuer.token(exp=int(time.time()) + 2))
    return client.submit(spec).id


def test_who_asks_too_often_is_told_when_to_come_back_and_the_client_does(
    start_api: Callable[..., Any], protected: Callable[..., Any], issuer: Issuer
) -> None:
    clock = [0.0]
    rates = Rates(per_minute=6, clock=lambda: clock[0])
    running = start_api(protection=protected(rates=rates))
    metadata = (("authorization", f"Bearer {issuer.token()}"),)
    with grpc.insecure_channel(running.address) as channel:
        stub = jobs_pb2_grpc.JobServiceStub(channel)
        for _ in range(6):
            stub.List(jobs_pb2.ListJobsRequest(), metadata=metadata, timeout=10)
        with pytest.raises(grpc.RpcError) as caught:
            stub.List(jobs_pb2.ListJobsRequest(), metadata=metadata, timeout=10)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert dict(caught.value.trailing_metadata())["grpc-retry-pushback-ms"] == "10000"
    with running.client(issuer.token(sub="bob")) as bob:
        assert bob.list().jobs == ()
    clock[0] += 9.5
    timer = threading.Timer(0.3, lambda: clock.__setitem__(0, 100.0))
    timer.start()
    with running.client(issuer.token()) as client:
        assert client.list().jobs == ()
    timer.join()


def test_a_request_that_does_not_arrive_gives_its_place_back(
    start_api: Callable[..., Any], protected: Callable[..., Any], issuer: Issuer
) -> None:
    running = start_api(concurrent_calls=2, protection=protected(request_seconds=0.5))
    metadata = (("authorization", f"Bearer {issuer.token()}"),)
    stopped = threading.Event()

    def nothing() -> Any:
        stopped.wait(60)
        yield from ()

    with grpc.insecure_channel(running.address) as channel:
        calls = [
            channel.stream_stream(f"/noyau.v1.JobService/{name}")(nothing(), metadata=metadata, timeout=60)
            for name in ("Get", "Watch")
        ]
        for call in calls:
            with pytest.raises(grpc.RpcError) as caught:
                next(call)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert "did not arrive" in str(caught.value.details())
        stopped.set()
    with running.client(issuer.token()) as client:
        assert client.list().jobs == ()


def test_a_caller_that_meets_a_full_service_comes_again(
    start_api: Callable[..., Any], protected: Callable[..., Any], issuer: Issuer, spec: SegmentSpec
) -> None:
    running = start_api(concurrent_calls=2, protection=protected())
    # One caller alone does not get all places.
    alice, carol, dave, bob = (issuer.token(sub=name) for name in ("alice", "carol", "dave", "bob"))
    with running.client(alice) as first, running.client(carol) as second:
        jobs = [client.submit(spec).id for client in (first, second)]
        watches = [client.watch(job) for client, job in zip((first, second), jobs, strict=True)]
        # Whoever has got an event holds a place; a call that has only been begun may still be overtaken.
        assert [next(events).seq for events in watches] == [1, 1]
        with grpc.insecure_channel(running.address) as channel, pytest.raises(grpc.RpcError) as caught:
            metadata = (("authorization", f"Bearer {dave}"),)
            jobs_pb2_grpc.JobServiceStub(channel).List(jobs_pb2.ListJobsRequest(), metadata=metadata, timeout=10)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        # The places become free only while the caller below is already coming again.
        leaving = threading.Timer(1.0, lambda: [running.store.request_cancel(job) for job in jobs])
        leaving.start()
        with running.client(bob) as client:
            assert client.list().jobs == ()
        leaving.join()
        assert [[event.payload["state"] for event in events] for events in watches] == [["CANCELLED"]] * 2


def test_a_call_without_a_request_is_the_callers_mistake(closed: Any, issuer: Issuer) -> None:
    metadata = (("authorization", f"Bearer {issuer.token()}"),)
    with grpc.insecure_channel(closed.address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.stream_unary("/noyau.v1.JobService/Get")(iter(()), metadata=metadata, timeout=10)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_changes_and_refusals_are_in_the_audit_log_without_any_token(
    closed: Any, issuer: Issuer, spec: SegmentSpec, lines: Callable[[], list[dict[str, Any]]], tmp_path: Path
) -> None:
    token, bad = issuer.token(), issuer.token(aud="other")
    with closed.client(token) as ada:
        job = ada.submit(spec)
        ada.get(job.id)
        ada.cancel(job.id)
        with pytest.raises(PermissionRefused):
            ada.registry.remove("nuclei-3d@1")
    with closed.client(bad) as nobody, pytest.raises(Unauthenticated):
        nobody.get(job.id)
    found = [(line["call"], line["status"], line["who"], line.get("job")) for line in lines()]
    assert found == [
        ("JobService/Submit", "OK", ["token:ada"], job.id),
        ("JobService/Cancel", "OK", ["token:ada"], job.id),
        ("ModelService/Remove", "PERMISSION_DENIED", ["token:ada"], None),
        ("JobService/Get", "UNAUTHENTICATED", [], None),
    ]
    text = (tmp_path / "audit.jsonl").read_text()
    assert not any(part in text for whole in (token, bad) for part in whole.split("."))


def test_an_open_service_does_not_take_the_word_for_owners_that_need_a_proof(api: Any, spec: SegmentSpec) -> None:
    with api.client() as client:
        assert client.submit(spec, owner="ada").owner == "ada"
        for owner in ("token:ada", "certificate:ops"):
            with pytest.raises(Unauthenticated, match="are proven"):
                client.submit(spec, owner=owner)


def test_proofs_do_not_travel_openly_and_files_hold_a_token_alone(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="travel openly"):
        Client("example.org:50051", token="a.b.c")
    for text in ("", "a b", "Bearer a.b.c", "a\nb", "é"):
        (tmp_path / "token").write_text(text)
        with pytest.raises(InvalidInput, match="holds no token"):
            TokenFile(tmp_path / "token")()
    with pytest.raises(NotFound):
        TokenFile(tmp_path / "none")()
    (tmp_path / "token").write_text("a.b.c\n")
    assert TokenFile(tmp_path / "token")() == "a.b.c"


def test_too_many_calls_of_one_caller_leave_places_for_others(
    start_api: Callable[..., Any], protected: Callable[..., Any], issuer: Issuer, spec: SegmentSpec
) -> None:
    running = start_api(concurrent_calls=20, protection=protected(rates=Rates(at_once=3)))
    with running.client(issuer.token()) as ada, running.client(issuer.token(sub="bob")) as bob:
        job = ada.submit(spec)
        watchers = [ada.watch(job.id, patience=0) for _ in range(3)]
        for watcher in watchers:
            next(watcher)
        with pytest.raises(LimitExceeded, match="3 calls open"):
            ada.list()
        assert bob.list().jobs == ()
        for watcher in watchers:
            watcher.close()
