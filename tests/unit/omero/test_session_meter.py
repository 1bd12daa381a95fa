"""Calls to OMERO are counted by what they do, also those that fail."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from noyau.domain.errors import NotFound
from noyau.domain.meters import Meter
from noyau.omero.server import OmeroServer
from noyau.omero.session import Session


class Origin:
    """Sessions without a server."""

    def key(self, old: str | None) -> str:
        return "key"

    def join(self, key: str) -> Any:
        class Line:
            def close(self) -> None: ...

        return Line()

    def end(self) -> None: ...


def fail(_: Any) -> None:
    raise NotFound("There is no Image:12.")


def test_calls_are_counted_by_their_first_word() -> None:
    meter = Meter()
    session = Session(OmeroServer("lab", "localhost"), "ada", None, Origin(), threading.Semaphore(1), meter=meter)
    try:
        for number in (1, 2):
            assert session.call(lambda line, n=number: n, f"reading Image:{number}") == number
        with pytest.raises(NotFound):
            session.call(fail, "reading Image:12")
        session.call(lambda line: None, "saving ROIs of Image:12")
    finally:
        session.close()
    counted = meter.take()
    assert {name: value for name, value in counted.items() if not name.endswith("seconds")} == {
        "omero/reading/calls": 3,
        "omero/reading/failures": 1,
        "omero/saving/calls": 1,
        "omero/saving/failures": 0,
    }
    assert counted["omero/reading/seconds"] >= 0
