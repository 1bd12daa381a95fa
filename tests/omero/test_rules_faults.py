"""Failures on order: that the simulated server fails where it is told to, and as a real one would."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import Ice
import omero
import pytest
from omero import model
from omero.rtypes import rstring
from omero_place import Place
from omero_seed import Seed, connect, ends


@pytest.fixture
def client(login: Callable[..., Any]) -> Any:
    return login("alice", "lab")


def comments(omero_place: Place, seed: Seed, ns: str) -> int:
    client = connect(omero_place, seed.users["alice"], seed.password, seed.groups["lab"])
    try:
        params = omero.sys.ParametersI().addString("ns", ns)
        text = "select a.id from CommentAnnotation a where a.ns = :ns"
        return len(client.sf.getQueryService().projection(text, params))
    finally:
        client.closeSession()


def comment(ns: str) -> Any:
    made = model.CommentAnnotationI()
    made.setNs(rstring(ns))
    return made


def test_the_connection_is_dropped_at_the_call_that_was_named(client: Any, faults: Callable[..., Any]) -> None:
    query = client.sf.getQueryService()
    faults(kind="drop", at=3, operation="IQuery.find")
    query.find("Image", 1)
    query.find("Image", 1)
    with pytest.raises(Ice.LocalException):
        query.find("Image", 1)


def test_a_call_that_is_dropped_was_not_carried_out(
    client: Any, faults: Callable[..., Any], omero_place: Place, seed: Seed
) -> None:
    update = client.sf.getUpdateService()
    faults(kind="drop", operation="IUpdate.*")
    with pytest.raises(Ice.LocalException):
        update.saveObject(comment("dropped"))
    assert comments(omero_place, seed, "dropped") == 0


def test_a_call_that_is_dropped_after_was_carried_out(
    client: Any, faults: Callable[..., Any], omero_place: Place, seed: Seed
) -> None:
    update = client.sf.getUpdateService()
    faults(kind="drop after", operation="IUpdate.*")
    with pytest.raises(Ice.LocalException):
        update.saveObject(comment("dropped after"))
    assert comments(omero_place, seed, "dropped after") == 1


def test_a_lost_connection_ends_the_session_unless_it_was_detached(
    client: Any, login: Callable[..., Any], faults: Callable[..., Any], omero_place: Place
) -> None:
    kept = login("bob", "lab")
    kept.sf.detachOnDestroy()
    for lost in (client, kept):
        key, query = lost.getSessionId(), lost.sf.getQueryService()
        faults(kind="drop", operation="IQuery.find")
        with pytest.raises(Ice.LocalException):
            query.find("Image", 1)
        omero_place.order("/faults/clear")
        if lost is client:
            assert ends(omero_place, key)
            continue
        time.sleep(2.5)
        again = omero.client(omero_place.tcp)
        try:
            assert again.joinSession(key) is not None
        finally:
            again.__del__()


def test_a_slow_call_takes_its_time(client: Any, faults: Callable[..., Any]) -> None:
    query = client.sf.getQueryService()
    faults(kind="slow", seconds=0.7, operation="IQuery.*")
    start = time.monotonic()
    query.find("Image", 1)
    assert time.monotonic() - start >= 0.7


def test_a_session_runs_out_at_the_call_that_was_named(client: Any, faults: Callable[..., Any]) -> None:
    query = client.sf.getQueryService()
    faults(kind="expire", at=2, operation="IQuery.*")
    query.find("Image", 1)
    with pytest.raises(omero.SessionTimeoutException):
        query.find("Image", 1)


def test_a_session_is_killed_at_the_call_that_was_named(client: Any, faults: Callable[..., Any]) -> None:
    query = client.sf.getQueryService()
    faults(kind="kill", operation="IQuery.*")
    with pytest.raises(Ice.ObjectNotExistException):
        query.find("Image", 1)


def test_a_write_is_refused_and_a_read_is_not(client: Any, faults: Callable[..., Any]) -> None:
    query, update = client.sf.getQueryService(), client.sf.getUpdateService()
    faults(kind="refuse", times=10)
    query.find("Image", 1)
    with pytest.raises(omero.SecurityViolation):
        update.saveObject(comment("refused"))


def test_a_restart_ends_sessions_and_keeps_data(
    client: Any, faults: Callable[..., Any], omero_place: Place, seed: Seed
) -> None:
    query = client.sf.getQueryService()
    client.sf.getUpdateService().saveObject(comment("before the restart"))
    omero_place.order("/restart")
    with pytest.raises((Ice.LocalException, omero.ServerError)):
        query.find("Image", 1)
    assert comments(omero_place, seed, "before the restart") == 1


def test_a_pyramid_may_still_be_in_the_making(
    client: Any, faults: Callable[..., Any], omero_place: Place, seed: Seed
) -> None:
    pixels = seed.images["lab"].pixels
    store = client.sf.createRawPixelsStore()
    omero_place.order("/pyramid", {"pixels": pixels, "pending": True})
    try:
        store.setPixelsId(pixels, False)
        with pytest.raises(omero.MissingPyramidException):
            store.getPlane(0, 0, 0)
    finally:
        omero_place.order("/pyramid", {"pixels": pixels, "pending": False})
    assert len(store.getPlane(0, 0, 0)) == 48 * 64 * 2


def test_the_calls_of_a_client_are_told_in_order(
    client: Any, faults: Callable[..., Any], omero_place: Place, seed: Seed
) -> None:
    store = client.sf.createRawPixelsStore()
    omero_place.order("/calls", method="GET")
    store.setPixelsId(seed.images["lab"].pixels, False)
    store.getPlane(0, 0, 0)
    store.close()
    calls = [c for c in omero_place.order("/calls", method="GET") if c.startswith("RawPixelsStore")]
    assert calls == ["RawPixelsStore.setPixelsId", "RawPixelsStore.getPlane", "RawPixelsStore.close"]
