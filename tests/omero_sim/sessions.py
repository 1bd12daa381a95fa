"""Sessions of users: logged in by password, joined by key, opened by an administrator for somebody else."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import Glacier2

from omero_sim import errors
from omero_sim.accounts import Accounts
from omero_sim.records import Record, Store

MILLISECONDS = 1000

# Closing is not finished when the call returns: somebody who joins at once may still succeed.
CLOSING_SECONDS = 1.0
TIME_TO_IDLE = 600_000


@dataclass(eq=False)
class Session:
    """One session.

    Attributes:
        uuid: The key that joins it.
        user, group: On whose behalf, and in which group, its calls run.
        record: Its row.
        password: Whether a password opened it.
        sudoer: The administrator who opened it for the user.
        time_to_live, time_to_idle: Milliseconds until it ends; 0 for never.
        references: How many hold it; the last that lets go ends it.
        state: "open", "killed" or "timed out".
    """

    uuid: str
    user: Record
    group: Record
    record: Record
    password: bool
    sudoer: Record | None
    time_to_live: int
    time_to_idle: int
    references: int = 1
    state: str = "open"
    started: float = field(default_factory=time.monotonic)
    used: float = field(default_factory=time.monotonic)
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    stateful: dict[str, Any] = field(default_factory=dict)

    @property
    def category(self) -> str:
        """Part of the identity of everything that only this session may call."""
        return f"session-{self.uuid}"

    def touch(self) -> None:
        """Somebody uses it."""
        self.used = time.monotonic()

    def expired(self) -> bool:
        """Whether its time is over."""
        now = time.monotonic()
        idle = self.time_to_idle and (now - self.used) * MILLISECONDS > self.time_to_idle
        return bool(idle or (self.time_to_live and (now - self.started) * MILLISECONDS > self.time_to_live))


class Sessions:
    """All sessions of a server."""

    def __init__(self, store: Store, accounts: Accounts) -> None:
        self._store = store
        self._accounts = accounts
        self._open: dict[str, Session] = {}
        self._lock = threading.RLock()

    def login(self, name: str, password: str, group: str | None) -> Session:
        """A new session by password, or, when the name is a key, the session that it belongs to.

        Raises:
            Glacier2.PermissionDeniedException: Wrong name, password or key.
            Glacier2.CannotCreateSessionException: The user is not in that group.
        """
        joined = self.find(name)
        if joined is not None:
            with self._lock:
                joined.references += 1
            return joined
        user = self._accounts.authenticate(name, password)
        if user is None:
            raise Glacier2.PermissionDeniedException(f"Password check failed for '{name}'")
        place = self._accounts.default_group(user) if not group else self._accounts.group_named(group)
        if place is None or not self._accounts.may_enter(user, place):
            raise Glacier2.CannotCreateSessionException(f"User {name} is not a member of group {group}")
        return self.create(user, place, password=True)

    def create(
        self,
        user: Record,
        group: Record,
        *,
        password: bool = False,
        sudoer: Record | None = None,
        time_to_live: int = 0,
        time_to_idle: int = TIME_TO_IDLE,
    ) -> Session:
        """A session for a user in a group."""
        key = str(uuid.uuid4())
        with self._store.lock:
            values = {
                "timeToIdle": time_to_idle,
                "timeToLive": time_to_live,
                "started": int(time.time() * MILLISECONDS),
            }
            record = self._store.add("Session", owner=user, group=group, uuid=key, defaultEventType="User", **values)
            self._store.set(record, "node", self._store.first("Node"))
            self._store.set(record, "owner", user)
            self._store.set(record, "sudoer", sudoer)
        session = Session(key, user, group, record, password, sudoer, time_to_live, time_to_idle)
        with self._lock:
            self._open[key] = session
        return session

    def find(self, key: str) -> Session | None:
        """The open session with that key."""
        with self._lock:
            session = self._open.get(key)
        if session is None or session.state != "open":
            return None
        if session.expired():
            self.expire(session)
            return None
        return session

    def get(self, key: str) -> Session:
        """The open session with that key.

        Raises:
            omero.RemovedSessionException: There is none.
        """
        session = self.find(key)
        if session is None:
            raise errors.removed(key)
        return session

    def all(self) -> list[Session]:
        """Every open session."""
        with self._lock:
            return list(self._open.values())

    def release(self, session: Session, *, close: bool = True) -> int:
        """One holder lets go; returns how many are left. Without any the session ends a moment later, if it is to."""
        with self._lock:
            session.references = max(0, session.references - 1)
            if session.references > 0 or not close:
                return session.references
        timer = threading.Timer(CLOSING_SECONDS, self._end_unless_joined, [session])
        timer.daemon = True
        timer.start()
        return 0

    def kill(self, session: Session) -> None:
        """Ends a session now, whoever holds it."""
        self._end(session, "killed")

    def expire(self, session: Session) -> None:
        """Ends a session because its time is over."""
        self._end(session, "timed out")

    def _end_unless_joined(self, session: Session) -> None:
        with self._lock:
            if session.references > 0:
                return
        self._end(session, "killed")

    def _end(self, session: Session, state: str) -> None:
        with self._lock:
            session.state = state
            self._open.pop(session.uuid, None)
        with self._store.lock:
            self._store.set(session.record, "closed", int(time.time() * MILLISECONDS))
