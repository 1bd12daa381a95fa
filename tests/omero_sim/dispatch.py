"""Turns a plain Python object into a servant: every operation of an interface goes to the method of that name.

Some operations are asynchronous on the wire. The generated classes have empty methods for those, so a servant that
does not define one never answers; here every operation is defined, and those without a method are refused.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import Ice
import omero

from omero_sim import errors
from omero_sim.calls import REFUSE, WAIT, Call

if TYPE_CHECKING:
    from omero_sim.server import Server
    from omero_sim.sessions import Session

log = logging.getLogger(__name__)

OPERATION = re.compile(
    r"^\s+(?P<interface>\w+)\._op_(?P<name>\w+) = IcePy\.Operation\('\w+', [\w.]+, [\w.]+, (?P<amd>True|False), "
    r".*?(?P<void>, None, \([^()]*\)\))?$",
    re.M,
)
WRITES = re.compile(r"^(save|set|write|delete|truncate|create|addData|update|newTable|submit)")


class Implementation(Protocol):
    """What answers calls: methods named like operations that take a `Call` and the arguments."""

    exclusive: bool
    locked: bool
    open_to_closed: bool


@dataclass(frozen=True)
class Operation:
    """How an operation travels.

    Attributes:
        name: Of the method.
        asynchronous: Whether the servant answers through a callback.
        void: Whether there is no result.
    """

    name: str
    asynchronous: bool
    void: bool


@cache
def operations(interface: type) -> tuple[Operation, ...]:
    """Every operation of an interface, inherited ones too, without those that Ice answers itself."""
    found = {}
    for base in interface.__mro__:
        for attribute in vars(base):
            name = attribute.removeprefix("_op_")
            if attribute.startswith("_op_") and not name.startswith("ice_"):
                found[name] = _shapes().get((base.__name__, name), (False, False))
    return tuple(Operation(name, *shape) for name, shape in found.items())


@cache
def _shapes() -> dict[tuple[str, str], tuple[bool, bool]]:
    folder = Path(omero.__file__).parents[1]
    found = {}
    for path in [*folder.glob("omero_*_ice.py"), *folder.glob("Glacier2_*_ice.py"), *folder.glob("Glacier2/*_ice.py")]:
        for match in OPERATION.finditer(path.read_text(encoding="utf-8")):
            found[match["interface"], match["name"]] = match["amd"] == "True", match["void"] is not None
    return found


class Dispatcher:
    """Answers the calls to one object."""

    def __init__(self, server: Server, session: Session, interface: type, implementation: Any) -> None:
        self._server = server
        self._session = session
        self._interface = interface
        self._implementation = implementation
        self._busy = threading.Lock()

    def servant(self) -> Any:
        """The object to put into an adapter."""
        methods: dict[str, Any] = {}
        for operation in operations(self._interface):
            if operation.asynchronous:
                methods[f"{operation.name}_async"] = self._asynchronous(operation)
            else:
                methods[operation.name] = self._synchronous(operation)
        return type(f"Simulated{self._interface.__name__}", (self._interface,), methods)()

    def _synchronous(self, operation: Operation) -> Callable[..., Any]:
        return lambda _self, *args: self._answer(operation, args[:-1], args[-1])

    def _asynchronous(self, operation: Operation) -> Callable[..., None]:
        def method(_self: Any, callback: Any, *args: Any) -> None:
            try:
                result = self._answer(operation, args[:-1], args[-1])
            except Exception as error:
                callback.ice_exception(error)
                return
            if operation.void:
                callback.ice_response()
            else:
                callback.ice_response(result)

        return method

    def _answer(self, operation: Operation, args: tuple[Any, ...], current: Any) -> Any:
        name = f"{self._interface.__name__}.{operation.name}"
        method = getattr(self._implementation, operation.name, None)
        try:
            if method is None:
                raise errors.NotSimulated(f"operation {name}")
            self._check_session()
            if REFUSE in current.ctx and WRITES.match(operation.name):
                raise errors.security(f"{name} refused for a test")
            call = Call(self._server, self._session, dict(current.ctx), current.id, current.adapter)
            return self._guarded(method, call, args)
        except errors.NotSimulated as error:
            self._server.ledger.violation(str(error))
            raise errors.internal(f"not simulated: {error}", "NotSimulated") from error
        except Exception as error:
            # Not every exception of the interface definitions has one base.
            if hasattr(type(error), "_ice_type") or isinstance(error, Ice.Exception):
                raise
            log.exception("%s failed", name)
            self._server.ledger.violation(f"{name} failed: {traceback.format_exc(limit=-4)}")
            raise errors.internal(traceback.format_exc(), type(error).__name__) from error

    def _check_session(self) -> None:
        session = self._session
        if session.state == "open" and session.expired():
            self._server.sessions.expire(session)
        if self._implementation.open_to_closed:
            return
        if session.state == "timed out":
            raise errors.timed_out(session.uuid)
        if session.state != "open":
            raise Ice.ObjectNotExistException()
        session.touch()

    def _guarded(self, method: Callable[..., Any], call: Call, args: tuple[Any, ...]) -> Any:
        if self._implementation.exclusive:
            if not self._busy.acquire(blocking=False):
                raise errors.internal("ome.services.throttling: servant is not re-entrant")
            try:
                return self._plain(method, call, args)
            finally:
                self._busy.release()
        return self._plain(method, call, args)

    def _plain(self, method: Callable[..., Any], call: Call, args: tuple[Any, ...]) -> Any:
        time.sleep(float(call.headers.get(WAIT, 0)))
        if not self._implementation.locked:
            return method(call, *args)
        with self._server.store.lock:
            return method(call, *args)
