"""ScriptProcess: one run of a script, seen by the client that started it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from omero import rtypes

from omero_sim.calls import Call
from omero_sim.errors import api_usage
from omero_sim.records import Record
from omero_sim.services.base import Service
from omero_sim.services.query import load_with

if TYPE_CHECKING:
    from omero_sim.server import Server
    from omero_sim.sessions import Session

STREAMS = ("stdout", "stderr")
LOOK_SECONDS = 0.25


class ScriptProcessService(Service):
    """Hands calls to the real process and collects what it left."""

    locked = False
    # OMERO.web asks for results after the browser has gone on with another session.
    open_to_closed = True

    def __init__(self, server: Server, session: Session, process: Any, own: Session, job: Record) -> None:
        super().__init__(server, session)
        self._process = process
        self._own = own
        self._job = job
        self._one = threading.Lock()
        threading.Thread(target=self._watch, daemon=True).start()

    def poll(self, call: Call) -> Any:
        """Exit code; None while it runs."""
        return self._poll()

    def wait(self, call: Call) -> int:
        """Exit code, once there is one."""
        while (code := self._poll()) is None:
            time.sleep(LOOK_SECONDS)
        return int(code.getValue())

    def cancel(self, call: Call) -> bool:
        """Asks it to end."""
        with self._one:
            return bool(self._process.cancel())

    def kill(self, call: Call) -> bool:
        """Ends it."""
        with self._one:
            return bool(self._process.kill())

    def shutdown(self, call: Call) -> None:
        """Asks it to end, then ends it."""
        self._process.shutdown()

    def registerCallback(self, call: Call, callback: Any) -> None:
        """Tells the client when it ends."""
        self._process.registerCallback(callback)

    def unregisterCallback(self, call: Call, callback: Any) -> None:
        """Tells the client nothing any more."""
        self._process.unregisterCallback(callback)

    def getJob(self, call: Call) -> Any:
        """Its job."""
        with self.store.lock:
            return load_with(self, call, self._job, {"status": {}})

    def setMessage(self, call: Call, message: str) -> str:
        """Changes the message of the job; answers the old one."""
        with self.store.lock:
            old = self._job.get("message") or ""
            self.store.set(self._job, "message", message)
            return str(old)

    def getResults(self, call: Call, seconds: int) -> dict[str, Any]:
        """What the script left, with its output as files."""
        if self._poll() is None:
            raise api_usage("Process still running")
        results = dict(self._own.outputs)
        with self.store.lock:
            for link in self.store.collection(self._job, "originalFileLinks"):
                file = link.get("child")
                if file.get("name") in STREAMS:
                    results[file.get("name")] = rtypes.robject(load_with(self, call, file, {}))
        return results

    def close(self, call: Call, detach: bool) -> None:
        """The client has seen enough; a run that it does not leave to itself is ended."""
        if not detach and self._poll() is None:
            self.cancel(call)
        self.server.forget(self.session, call.identity)

    def _poll(self) -> Any:
        """The call that notices the end also uploads the output; nobody may think it done before that."""
        with self._one:
            return self._process.poll()

    def _watch(self) -> None:
        """Notices the end also when nobody asks, and ends the session of the script then."""
        while self._poll() is None:
            time.sleep(LOOK_SECONDS)
        self.server.sessions.kill(self._own)
