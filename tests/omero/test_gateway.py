"""Who callers are, and the service's own sessions for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from noyau.domain.caller import OmeroUser
from noyau.domain.errors import (
    FailedPrecondition,
    NotFound,
    PermissionRefused,
    Unauthenticated,
    Unavailable,
)
from noyau.domain.omero_uri import OmeroUri
from noyau.omero.gateway import Gateway
from noyau.omero.line import Line
from noyau.omero.server import OmeroServer
from omero.rtypes import unwrap
from omero_kit import ALIAS, PASSWORD_ENV, count, rows, server_of, visitor_of
from omero_place import Place
from omero_seed import Seed

WHO = "asking"


@pytest.fixture
def server(omero_place: Place, seed: Seed, monkeypatch: pytest.MonkeyPatch) -> OmeroServer:
    monkeypatch.setenv(PASSWORD_ENV, seed.password)
    return server_of(omero_place, seed)


@pytest.fixture
def gateway(server: OmeroServer) -> Iterator[Gateway]:
    with Gateway([server]) as opened:
        yield opened


def user_name(line: Line) -> str:
    return str(line.factory.getAdminService().getEventContext().userName)


def session_key(line: Line) -> str:
    return str(line.factory.getAdminService().getEventContext().sessionUuid)


def open_sessions(client: Any, user: str) -> int:
    return count(client, "select s.id from Session s where s.owner.omeName = :name and s.closed is null", name=user)


def test_a_caller_is_known_by_the_key_and_keeps_the_session(
    gateway: Gateway, login: Callable[..., Any], seed: Seed
) -> None:
    client = login("alice", "open")
    caller = gateway.identify(ALIAS, client.getSessionId())
    assert caller.user == OmeroUser(ALIAS, seed.users["alice"])
    assert caller.group == seed.groups["open"]
    assert seed.group_ids["lab"] in caller.groups
    assert not caller.is_admin
    time.sleep(0.2)  # leaving a session is asynchronous
    assert client.sf.getAdminService().getEventContext().userName == seed.users["alice"]


@pytest.mark.parametrize("key", ["", "no-such-key", "00000000-0000-0000-0000-000000000000", "x" * 300, "a\nb"])
def test_a_wrong_key_is_refused_without_being_repeated(gateway: Gateway, key: str) -> None:
    with pytest.raises(Unauthenticated) as told:
        gateway.identify(ALIAS, key)
    assert key == "" or key not in str(told.value)


def test_a_closed_session_proves_nothing(gateway: Gateway, login: Callable[..., Any]) -> None:
    client = login("alice")
    key = client.getSessionId()
    client.killSession()
    with pytest.raises(Unauthenticated):
        gateway.identify(ALIAS, key)


def test_the_service_acts_as_the_user_in_the_group_of_the_thing(gateway: Gateway, seed: Seed) -> None:
    visitor = visitor_of(gateway, seed, "alice")
    for group in ("lab", "open"):
        session = visitor.at(OmeroUri(ALIAS, "image", seed.images[group].id))
        context = session.call(lambda line: line.factory.getAdminService().getEventContext(), WHO)
        assert (context.userName, context.groupName) == (seed.users["alice"], seed.groups[group])
        assert unwrap(context.sudoerName) == seed.service


def test_what_the_user_may_not_see_is_not_there(gateway: Gateway, seed: Seed) -> None:
    with pytest.raises(NotFound, match="that alice-"):
        visitor_of(gateway, seed, "alice").at(OmeroUri(ALIAS, "image", seed.images["private"].id))
    with pytest.raises(NotFound, match="Image:999999"):
        visitor_of(gateway, seed, "alice").at(OmeroUri(ALIAS, "image", 999999))


def test_no_session_is_left_open(gateway: Gateway, seed: Seed, login: Callable[..., Any], omero_place: Place) -> None:
    root = login(omero_place.admin)
    before = open_sessions(root, seed.users["bob"]), open_sessions(root, seed.service)
    visitor_of(gateway, seed, "bob").at(OmeroUri(ALIAS, "image", seed.images["lab"].id)).call(user_name, WHO)
    assert open_sessions(root, seed.users["bob"]) > before[0]
    gateway.close()
    assert (open_sessions(root, seed.users["bob"]), open_sessions(root, seed.service)) == before


def test_a_session_that_was_ended_is_opened_again(
    gateway: Gateway, seed: Seed, login: Callable[..., Any], omero_place: Place
) -> None:
    session = visitor_of(gateway, seed, "bob").at(OmeroUri(ALIAS, "image", seed.images["lab"].id))
    first = session.call(session_key, WHO)
    login(omero_place.admin).destroySession(first)
    for _ in range(session.server.calls):  # each of the connections finds out by itself
        assert session.call(user_name, WHO) == seed.users["bob"]
        assert session.call(session_key, WHO) != first


def test_a_group_the_user_is_not_in_is_refused(gateway: Gateway, seed: Seed) -> None:
    session = gateway.session(ALIAS, seed.users["carol"], seed.group_ids["lab"])
    with pytest.raises(PermissionRefused, match=seed.groups["lab"]):
        session.call(user_name, WHO)


def test_an_account_without_sudo_is_told(server: OmeroServer, omero_place: Place, seed: Seed) -> None:
    with Gateway([server_of(omero_place, seed, user=seed.powerless)]) as weak, pytest.raises(PermissionRefused):
        weak.session(ALIAS, seed.users["alice"], None).call(user_name, WHO)


def test_a_wrong_password_of_the_service_is_the_operators_business(
    server: OmeroServer, gateway: Gateway, seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD_ENV, "not-this")
    with pytest.raises(FailedPrecondition, match="service's account") as told:
        gateway.session(ALIAS, seed.users["alice"], None).call(user_name, WHO)
    assert "not-this" not in str(told.value)
    monkeypatch.delenv(PASSWORD_ENV)
    with pytest.raises(FailedPrecondition, match=PASSWORD_ENV):
        gateway.session(ALIAS, seed.users["bob"], None).call(user_name, WHO)


def test_an_owner_without_proof_is_refused(gateway: Gateway) -> None:
    for owner in ("", "alice", "omero:elsewhere:alice"):
        with pytest.raises(Unauthenticated):
            gateway.acting_for(owner, ALIAS)


def test_a_server_that_is_away_is_tried_and_then_told(omero_place: Place, seed: Seed, server: OmeroServer) -> None:
    with Gateway([server_of(omero_place, seed, host="127.0.0.1", port=9, patience=0.2)]) as lost:
        with pytest.raises(Unavailable, match="does not answer"):
            lost.session(ALIAS, seed.users["alice"], None).call(user_name, WHO)
        with pytest.raises(Unavailable):
            lost.identify(ALIAS, "some-key")


def test_it_works_encrypted(omero_place: Place, seed: Seed, server: OmeroServer) -> None:
    with Gateway([server_of(omero_place, seed, tls=True)]) as secure:
        session = secure.session(ALIAS, seed.users["alice"], None)
        assert session.call(user_name, WHO) == seed.users["alice"]


def test_a_write_whose_answer_is_lost_is_not_done_twice(
    gateway: Gateway, seed: Seed, login: Callable[..., Any], faults: Callable[..., Any]
) -> None:
    image = OmeroUri(ALIAS, "image", seed.images["lab"].id)
    session = visitor_of(gateway, seed, "alice").at(image)
    made = []

    def find(line: Line) -> int | None:
        return made[0] if made else None

    def create(line: Line) -> int:
        made.append(len(made) + 1)
        line.query.find("Image", image.id)  # the connection is dropped here: nobody learns what was made
        return made[-1]

    session.call(user_name, WHO)
    faults(kind="drop", at=1, operation="IQuery.find")
    assert session.once(find, create, "making") == 1
    assert made == [1]


def test_the_key_of_a_caller_is_in_no_record(gateway: Gateway, login: Callable[..., Any]) -> None:
    key = login("alice").getSessionId()
    caller = gateway.identify(ALIAS, key)
    assert key not in repr(caller)
    assert key not in caller.user.owner
    assert not rows(login("alice"), "select a.id from Annotation a where a.ns = :t", t=key)
