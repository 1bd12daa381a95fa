"""Commands that run on the server by themselves: deleting and giving away, with a handle to follow them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import omero
import omero.cmd

from omero_sim import access
from omero_sim.calls import Call
from omero_sim.deleting import Deletion, Options, Refused, full_name
from omero_sim.errors import NotSimulated
from omero_sim.records import Record
from omero_sim.services.base import Service
from omero_sim.sessions import MILLISECONDS
from omero_sim.values import entity_named

if TYPE_CHECKING:
    from omero_sim.server import Server
    from omero_sim.sessions import Session


@dataclass
class Outcome:
    """What became of a command.

    Attributes:
        request, response: On the wire.
        ok: Whether it was carried out.
    """

    request: Any
    response: Any
    ok: bool


class HandleService(Service):
    """A command that was submitted; it has ended before the client sees the handle."""

    def __init__(self, server: Server, session: Session, outcome: Outcome) -> None:
        super().__init__(server, session)
        self._outcome = outcome

    def getRequest(self, call: Call) -> Any:
        """What was submitted."""
        return self._outcome.request

    def getResponse(self, call: Call) -> Any:
        """What came of it."""
        return self._outcome.response

    def getStatus(self, call: Call) -> Any:
        """How far it is."""
        now = int(time.time() * MILLISECONDS)
        flag = omero.cmd.State.SUCCESS if self._outcome.ok else omero.cmd.State.FAILURE
        status = omero.cmd.Status()
        status.id = status.category = status.name = ""
        status.flags, status.parameters = [flag], {}
        status.currentStep = status.steps = 1
        status.startTime = status.stopTime = now
        status.stepStartTimes, status.stepStopTimes = [now], [now]
        return status

    def addCallback(self, call: Call, callback: Any) -> None:
        """Tells the client when it has ended, which is now."""
        callback.begin_finished(self._outcome.response, self.getStatus(call))

    def removeCallback(self, call: Call, callback: Any) -> None:
        """Nothing is told twice."""

    def cancel(self, call: Call) -> bool:
        """Too late."""
        return False

    def close(self, call: Call) -> None:
        """The client has seen it."""
        self.server.forget(self.session, call.identity)


def submit(server: Server, call: Call, request: Any) -> Outcome:
    """Carries out a command. Errors are answers: submitting itself does not fail."""
    try:
        with server.store.lock:
            return run(server, call, request)
    except NotSimulated as error:
        server.ledger.violation(str(error))
        return Outcome(request, omero.cmd.ERR(str(request.ice_id()), "not-simulated", {"message": str(error)}), False)
    except omero.ServerError as error:
        failure = omero.cmd.ERR(str(request.ice_id()), type(error).__name__, {"message": str(error.message)})
        return Outcome(request, failure, False)


def run(server: Server, call: Call, request: Any) -> Outcome:
    """Carries out a command, all or nothing.

    Raises:
        NotSimulated: This server does not know it.
    """
    commands: dict[str, Callable[..., Any]] = {"Delete2": _delete, "Chown2": _chown, "DoAll": _all}
    name = str(request.ice_id()).rsplit("::", 1)[1]
    if name not in commands:
        raise NotSimulated(f"command {name}")
    try:
        with server.store.transaction():
            return Outcome(request, commands[name](server, call, request), True)
    except Refused as error:
        failure = omero.cmd.GraphException()
        failure.category, failure.name, failure.message = str(request.ice_id()), "graph-fail", str(error)
        failure.parameters = {"message": str(error), "stacktrace": ""}
        return Outcome(request, failure, False)


def _all(server: Server, call: Call, request: Any) -> Any:
    responses = []
    for inner in request.requests:
        outcome = run(server, call, inner)
        if not outcome.ok:
            raise Refused(outcome.response.message)
        responses.append(outcome.response)
    return omero.cmd.DoAllRsp(responses, [])


def _delete(server: Server, call: Call, request: Any) -> Any:
    options = _options(request.childOptions or [])
    deletion = Deletion(server.store, call.context, options).plan(list(_targets(server, call, request)))
    if not request.dryRun:
        deletion.carry_out(server.files.discard)
    return omero.cmd.Delete2Response(deletion.by_class())


def _chown(server: Server, call: Call, request: Any) -> Any:
    user = server.store.find("Experimenter", request.userId)
    if user is None:
        raise Refused(f"no user {request.userId}")
    targets = list(_targets(server, call, request))
    if "Chown" not in call.context.privileges and not all(
        t.group.id in call.context.leader_of for t in targets if t.group
    ):
        raise Refused("may not give away")
    given = Deletion(server.store, call.context, Options()).plan(targets, check=False)
    for record in given.gone:
        if not request.dryRun:
            server.store.change(record, "owner", user)
    return omero.cmd.Chown2Response(given.by_class(), {})


def _targets(server: Server, call: Call, request: Any) -> Iterator[Record]:
    for entity, ids in request.targetObjects.items():
        if "/" in entity:
            raise NotSimulated(f"command on a part of a graph: {entity}")
        for number in ids:
            record = server.store.find(entity_named(entity), number)
            if record is None or not access.can_read(record, call.context):
                raise Refused(f"no such object: {full_name(entity_named(entity))}[{number}]")
            yield record


def _options(children: list[Any]) -> Options:
    exclude: set[str] = set()
    include: set[str] = set()
    kept: set[str] = set()
    for child in children:
        exclude |= set(map(entity_named, child.excludeType or []))
        include |= set(map(entity_named, child.includeType or []))
        kept |= set(child.excludeNs or [])
        if child.includeNs:
            raise NotSimulated("ChildOption.includeNs")
    return Options(frozenset(exclude), frozenset(include), frozenset(kept))
