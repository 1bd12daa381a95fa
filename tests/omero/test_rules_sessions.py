"""Rules of the server about sessions: joining, sudo, closing, killing, running out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import Glacier2
import Ice
import omero
import pytest
from omero.rtypes import rstring
from omero_place import Place
from omero_seed import Seed, connect, ends

LIVE_MS, IDLE_MS = 60_000, 60_000


@pytest.fixture
def join(omero_place: Place) -> Iterator[Callable[[str], Any]]:
    """Joins a session by its key."""
    clients = []

    def enter(key: str) -> Any:
        client = omero.client(omero_place.tcp) if omero_place.tcp else omero.client(omero_place.host, omero_place.port)
        clients.append(client)
        client.joinSession(key)
        return client

    yield enter
    for client in clients:
        client.__del__()


def principal(seed: Seed, user: str, group: str | None = None) -> Any:
    found = omero.sys.Principal()
    found.name = seed.users.get(user, user)
    found.group = "" if group is None else seed.groups.get(group, group)
    found.eventType = "User"
    return found


def sudo(client: Any, seed: Seed, user: str, group: str | None = None, idle: int = IDLE_MS, live: int = LIVE_MS) -> str:
    service = client.sf.getSessionService()
    return str(service.createSessionWithTimeouts(principal(seed, user, group), live, idle).uuid.val)


def who(client: Any) -> Any:
    return client.sf.getAdminService().getEventContext()


def test_a_wrong_password_is_denied(omero_place: Place, seed: Seed) -> None:
    with pytest.raises(Glacier2.PermissionDeniedException):
        connect(omero_place, seed.users["alice"], "wrong")


def test_a_group_without_membership_is_denied(login: Callable[..., Any]) -> None:
    with pytest.raises(Glacier2.CannotCreateSessionException):
        login("carol", "lab")


def test_a_key_joins_the_same_session(login: Callable[..., Any], join: Callable[[str], Any], seed: Seed) -> None:
    first = login("alice", "lab")
    second = join(first.getSessionId())
    assert who(second).userName == seed.users["alice"]
    assert who(second).sessionUuid == who(first).sessionUuid


def test_the_session_stays_while_somebody_holds_it(login: Callable[..., Any], join: Callable[[str], Any]) -> None:
    first = login("alice", "lab")
    second = join(first.getSessionId())
    first.closeSession()
    assert who(second).userId > 0


def test_the_last_to_leave_closes_it_a_moment_later(login: Callable[..., Any], omero_place: Place) -> None:
    client = login("alice", "lab")
    key = client.getSessionId()
    client.closeSession()
    assert ends(omero_place, key)


def test_an_immediate_rejoin_may_succeed(
    omero_place: Place, login: Callable[..., Any], join: Callable[[str], Any]
) -> None:
    if not omero_place.control:
        pytest.skip("a race that a real server may decide either way")
    for _ in range(10):
        client = login("alice", "lab")
        key = client.getSessionId()
        client.closeSession()
        try:
            assert join(key).getSessionId() == key
        except Glacier2.PermissionDeniedException:
            # A slow machine took longer than the moment.
            continue
        return
    pytest.fail("the session was closed at once, ten times")


def test_who_detaches_leaves_it_open(login: Callable[..., Any], join: Callable[[str], Any]) -> None:
    client = login("alice", "lab")
    key = client.getSessionId()
    client.sf.detachOnDestroy()
    client.closeSession()
    time.sleep(2.5)
    assert join(key).getSessionId() == key


def test_a_key_does_not_mint_another_session(login: Callable[..., Any], join: Callable[[str], Any]) -> None:
    second = join(login("alice", "lab").getSessionId())
    with pytest.raises(omero.SecurityViolation):
        second.sf.getSessionService().createUserSession(LIVE_MS, IDLE_MS, "")


def test_a_password_does(login: Callable[..., Any], join: Callable[[str], Any], seed: Seed) -> None:
    client = login("alice", "lab")
    made = client.sf.getSessionService().createUserSession(LIVE_MS, IDLE_MS, seed.groups["open"])
    assert who(join(made.uuid.val)).groupName == seed.groups["open"]


def test_an_administrator_with_sudo_opens_a_session_for_a_user(
    login: Callable[..., Any], join: Callable[[str], Any], seed: Seed
) -> None:
    context = who(join(sudo(login(seed.service), seed, "bob", "readonly")))
    assert (context.userName, context.groupName) == (seed.users["bob"], seed.groups["readonly"])
    assert context.sudoerName.val == seed.service
    assert not context.isAdmin


def test_so_does_one_that_came_by_a_key(login: Callable[..., Any], join: Callable[[str], Any], seed: Seed) -> None:
    service = join(login(seed.service).getSessionId())
    assert who(join(sudo(service, seed, "alice", "lab"))).userName == seed.users["alice"]


@pytest.mark.parametrize("user", ["alice", "powerless"])
def test_without_the_privilege_there_is_no_sudo(login: Callable[..., Any], seed: Seed, user: str) -> None:
    client = login(seed.powerless if user == "powerless" else user)
    with pytest.raises(omero.SecurityViolation):
        sudo(client, seed, "bob")


def test_sudo_into_a_group_that_the_user_is_not_in_is_refused(login: Callable[..., Any], seed: Seed) -> None:
    with pytest.raises(omero.SecurityViolation):
        sudo(login(seed.service), seed, "carol", "lab")


def test_a_session_by_sudo_cannot_sudo_again(login: Callable[..., Any], join: Callable[[str], Any], seed: Seed) -> None:
    second = join(sudo(login(seed.service), seed, seed.service))
    with pytest.raises(omero.SecurityViolation):
        sudo(second, seed, "bob")


def test_a_session_by_sudo_cannot_mint_another(
    login: Callable[..., Any], join: Callable[[str], Any], seed: Seed
) -> None:
    second = join(sudo(login(seed.service), seed, "alice"))
    with pytest.raises(omero.SecurityViolation):
        second.sf.getSessionService().createUserSession(LIVE_MS, IDLE_MS, "")


def test_a_session_by_sudo_survives_being_closed(
    login: Callable[..., Any], join: Callable[[str], Any], seed: Seed
) -> None:
    key = sudo(login(seed.service), seed, "alice")
    client = join(key)
    client.closeSession()
    time.sleep(2.5)
    assert who(join(key)).userName == seed.users["alice"]


def test_killing_ends_a_session_by_sudo(
    login: Callable[..., Any], join: Callable[[str], Any], seed: Seed, omero_place: Place
) -> None:
    key = sudo(login(seed.service), seed, "alice")
    join(key).killSession()
    assert ends(omero_place, key)


def test_the_session_service_closes_a_session_by_sudo(
    login: Callable[..., Any], seed: Seed, omero_place: Place
) -> None:
    service = login(seed.service)
    key = sudo(service, seed, "alice")
    session = omero.model.SessionI()
    session.setUuid(rstring(key))
    while service.sf.getSessionService().closeSession(session) > 0:
        continue
    assert ends(omero_place, key)


def test_a_killed_session_is_not_there(login: Callable[..., Any], join: Callable[[str], Any]) -> None:
    client = login("alice", "lab")
    query = client.sf.getQueryService()
    other = join(client.getSessionId())
    other.killSession()
    with pytest.raises(Ice.ObjectNotExistException):
        query.find("Image", 1)


def test_an_idle_session_times_out(login: Callable[..., Any], join: Callable[[str], Any], seed: Seed) -> None:
    query = join(sudo(login(seed.service), seed, "alice", idle=4000)).sf.getQueryService()
    time.sleep(5)
    with pytest.raises(omero.SessionTimeoutException):
        query.find("Image", 1)


def test_use_keeps_a_session(login: Callable[..., Any], join: Callable[[str], Any], seed: Seed) -> None:
    client = join(sudo(login(seed.service), seed, "alice", idle=5000))
    query = client.sf.getQueryService()
    for _ in range(11):
        time.sleep(0.5)
        query.find("Image", 1)


def test_an_old_session_times_out_even_in_use(
    login: Callable[..., Any], join: Callable[[str], Any], seed: Seed
) -> None:
    query = join(sudo(login(seed.service), seed, "alice", live=5000)).sf.getQueryService()
    with pytest.raises(omero.SessionTimeoutException):
        for _ in range(30):
            query.find("Image", 1)
            time.sleep(0.5)


def test_services_of_another_session_are_out_of_reach(login: Callable[..., Any]) -> None:
    mine, theirs = login("alice", "lab"), login("bob", "lab")
    identity = theirs.sf.getQueryService().ice_getIdentity()
    proxy = mine.ic.stringToProxy(mine.ic.identityToString(identity)).ice_router(mine.getRouter(mine.ic))
    stolen = omero.api.IQueryPrx.uncheckedCast(proxy.ice_endpoints(mine.sf.ice_getEndpoints()))
    with pytest.raises(Ice.ObjectNotExistException):
        stolen.find("Image", 1)


def test_switching_the_group_of_a_session(login: Callable[..., Any], seed: Seed) -> None:
    client = login("alice", "lab")
    client.sf.setSecurityContext(omero.model.ExperimenterGroupI(seed.group_ids["open"], False))
    assert who(client).groupName == seed.groups["open"]


def test_switching_to_a_foreign_group_is_refused(login: Callable[..., Any], seed: Seed) -> None:
    with pytest.raises(omero.SecurityViolation):
        login("carol").sf.setSecurityContext(omero.model.ExperimenterGroupI(seed.group_ids["lab"], False))


def test_too_many_open_services_are_refused(omero_place: Place, login: Callable[..., Any]) -> None:
    if not omero_place.control:
        pytest.skip("ten thousand open services would burden a real server")
    client = login("alice", "lab")
    omero_place.order("/services", {"most": 20})
    try:
        stores = [client.sf.createRawFileStore() for _ in range(20)]
        with pytest.raises(omero.OverUsageException):
            client.sf.createRawPixelsStore()
        stores[0].close()
        client.sf.createRawPixelsStore().close()
    finally:
        omero_place.order("/services", {"most": 10_000})
