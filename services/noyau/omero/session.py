"""A session for one user in one group: a few connections, kept alive, that come back by themselves.

Every call goes through `Session.call`. It takes a connection that no other thread uses, waits for its turn at the
server's throttle, and where the connection is lost it connects again, joins the session (or, where that has ended,
has a new one opened) and calls again. What is called must bear being repeated; `once` makes writes do so.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, TypeVar

from noyau.domain.errors import NoyauError, Unavailable
from noyau.domain.meters import Meter
from noyau.omero.failures import Trouble, explain, is_refused_login, trouble
from noyau.omero.line import Line
from noyau.omero.server import OmeroServer

Answer = TypeVar("Answer")

KEEP_ALIVE_SECONDS = 60.0
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 5.0


class Origin(Protocol):
    """Where a session comes from."""

    def key(self, old: str | None) -> str:
        """The key to join; a new session is opened where `old` is the one that has ended."""
        ...

    def join(self, key: str) -> Line:
        """A new connection to it."""
        ...

    def end(self) -> None:
        """Ends the session if it is ours to end; never raises."""
        ...


class Session:
    """See the module. Safe to use from several threads.

    Attributes:
        server: the server.
        user: login name of the user that it acts as.
        group: id of the group that it reads and writes in; None for the user's default.
    """

    def __init__(
        self,
        server: OmeroServer,
        user: str,
        group: int | None,
        origin: Origin,
        throttle: threading.Semaphore,
        keep_alive: float = KEEP_ALIVE_SECONDS,
        meter: Meter | None = None,
    ) -> None:
        self.server = server
        self.user = user
        self.group = group
        self._origin = origin
        self._throttle = throttle
        self._meter = meter
        self._key: str | None = None
        self._renewing = threading.Lock()
        self._places: queue.Queue[_Place] = queue.Queue()
        for _ in range(server.calls):
            self._places.put(_Place())
        self._closed = threading.Event()
        self._beat = threading.Thread(target=self._keep_alive, args=(keep_alive,), name="noyau-omero", daemon=True)
        self._beat.start()

    def call(self, work: Callable[[Line], Answer], what: str) -> Answer:
        """Calls the server, again where the connection was lost on the way.

        Args:
            work: given a connection that is its own while it runs. It may be called several times.
            what: for messages, e.g. `reading Image:12`.

        Raises:
            NoyauError: what the server refused, or Unavailable when it did not answer for `server.patience` seconds.
        """
        give_up: float | None = None
        pause = _FIRST_PAUSE
        while True:
            place = self._places.get()
            try:
                with self._throttle, self._metered(what):
                    return work(self._line(place))
            except Exception as error:
                kind = trouble(error)
                if kind is Trouble.LOST:
                    place.drop()
                if isinstance(error, NoyauError):
                    raise
                if kind is Trouble.FINAL or self._closed.is_set():
                    raise explain(error, what, self.server.alias) from error
                give_up = give_up or time.monotonic() + self.server.patience
                if time.monotonic() > give_up:
                    raise explain(error, what, self.server.alias) from error
            finally:
                self._places.put(place)
            self._closed.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def once(self, find: Callable[[Line], Answer | None], create: Callable[[Line], Answer], what: str) -> Answer:
        """Calls a write that must not be done twice.

        When the connection is lost, nobody knows whether the write took place: before it is tried again, `find` looks
        for what it would have made.

        Args:
            find: what an earlier try made, None where there is nothing.
            create: makes it.
            what: for messages.
        """
        tried = False

        def attempt(line: Line) -> Answer:
            nonlocal tried
            found = find(line) if tried else None
            if found is not None:
                return found
            tried = True
            return create(line)

        return self.call(attempt, what)

    def each(self, work: Callable[[Line], object]) -> None:
        """Runs something on every connection that is open and free, for tidying up; failures are ignored."""
        taken = []
        with suppress(queue.Empty):
            while True:
                taken.append(self._places.get_nowait())
        for place in taken:
            if place.line is not None:
                with suppress(Exception):
                    work(place.line)
            self._places.put(place)

    def close(self) -> None:
        """Ends the connections and the session; never raises. Calls that wait for the server end with an error."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._origin.end()
        for _ in range(self.server.calls):
            self._places.get().drop()

    @contextmanager
    def _metered(self, what: str) -> Iterator[None]:
        """Counts a call by its first word (`reading`, `saving`, ...), which is not of the caller's making."""
        began, failed = time.monotonic(), True
        try:
            yield
            failed = False
        finally:
            if self._meter is not None:
                operation = f"omero/{what.partition(' ')[0]}"
                self._meter.add(f"{operation}/calls", 1)
                self._meter.add(f"{operation}/seconds", time.monotonic() - began)
                self._meter.add(f"{operation}/failures", failed)

    def _line(self, place: _Place) -> Line:
        """The connection of a place, made where there is none."""
        if self._closed.is_set():
            raise Unavailable(f"The session on the OMERO server '{self.server.alias}' was closed.")
        if place.line is None:
            key = self._current(None)
            try:
                place.line = self._origin.join(key)
            except Exception as error:
                if not is_refused_login(error):
                    raise
                # It has ended: by a time limit, a restart of the server, or an administrator.
                place.line = self._origin.join(self._current(key))
        return place.line

    def _current(self, ended: str | None) -> str:
        """The key of the session; a new one where `ended` was the current one."""
        with self._renewing:
            if self._key is None or self._key == ended:
                self._key = self._origin.key(self._key)
            return self._key

    def _keep_alive(self, seconds: float) -> None:
        """Keeps the session from timing out while the job computes and calls nothing."""
        while not self._closed.wait(seconds):
            self.each(Line.ping)


class _Place:
    """Where a connection is, or will be once it is needed."""

    def __init__(self) -> None:
        self.line: Line | None = None

    def drop(self) -> None:
        line, self.line = self.line, None
        if line is not None:
            line.close()
