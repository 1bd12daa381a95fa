"""IScript: scripts, which the real `omero.processor` runs in processes of their own."""

from __future__ import annotations

import hashlib
import os
import sys
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import omero
import omero.processor
import omero.util.temp_files
from omero import rtypes
from omero_ext.path import path as legacy_path

from omero_sim.access import USER_GROUP, can_edit, can_read
from omero_sim.calls import Call
from omero_sim.errors import api_usage, security
from omero_sim.records import Record
from omero_sim.services.base import Service
from omero_sim.services.query import load_with
from omero_sim.services.script_process import ScriptProcessService
from omero_sim.services.shared_resources import inner_context
from omero_sim.sessions import MILLISECONDS

if TYPE_CHECKING:
    from omero_sim.server import Server

MIMETYPE = "text/x-python"
CALLBACKS = "ProcessCallback"
HEADERS = {"omero.launcher": sys.executable, "omero.process": "omero.processor.ProcessI"}


@dataclass
class Stand:
    """What the real processor expects of the call that it answers: an adapter to put its process into, and headers."""

    adapter: Any
    ctx: dict[str, str]

    def addWithUUID(self, servant: Any) -> Any:
        """Puts a servant under any name into the adapter."""
        return self.adapter.addWithUUID(servant)


class ScriptService(Service):
    """Scripts and runs of them. Official ones are those in the group of all users."""

    locked = False

    def uploadScript(self, call: Call, path: str, text: str) -> int:
        """A script of the caller."""
        return self._upload(call, path, text, self.session.group)

    def uploadOfficialScript(self, call: Call, path: str, text: str) -> int:
        """A script for everyone."""
        if "WriteScriptRepo" not in call.context.privileges:
            raise security("Admin restrictions: WriteScriptRepo needed")
        with self.store.lock:
            old = self._at(path)
            everyone = self.store.find("ExperimenterGroup", USER_GROUP)
        if old is not None:
            raise api_usage(f"Script exists: {path}")
        if everyone is None:
            raise LookupError("no group of all users")
        return self._upload(call, path, text, everyone)

    def editScript(self, call: Call, instance: Any, text: str) -> None:
        """Replaces the text of a script."""
        with self.store.transaction():
            file = call.readable("OriginalFile", instance._id._val)
            allowed = can_edit(file, call.context) or "WriteScriptRepo" in call.context.privileges
            if not allowed:
                raise security(f"Updating script {file.id} not permitted")
            self._write(file, text)

    def deleteScript(self, call: Call, number: int) -> None:
        """Removes a script."""
        with self.store.transaction():
            file = call.readable("OriginalFile", number)
            if not can_edit(file, call.context) and "DeleteScriptRepo" not in call.context.privileges:
                raise security(f"Deleting script {number} not permitted")
            for link in self.store.all("JobOriginalFileLink"):
                if link.get("child") is file:
                    self.store.remove(link)
            self.store.remove(file)
            self.server.files.discard(file)

    def getScripts(self, call: Call) -> list[Any]:
        """The official scripts."""
        with self.store.lock:
            return [load_with(self, call, f, {}) for f in self._official()]

    def getScriptsByMimetype(self, call: Call, mimetype: str) -> list[Any]:
        """The official scripts of a kind; there is one kind."""
        return self.getScripts(call) if mimetype == MIMETYPE else []

    def getUserScripts(self, call: Call, accepted: Any) -> list[Any]:
        """The other scripts that the caller may see."""
        with self.store.lock:
            files = [f for f in self._scripts() if f not in self._official() and can_read(f, call.context)]
            return [load_with(self, call, f, {}) for f in files]

    def getScriptID(self, call: Call, path: str) -> int:
        """Id of an official script; -1 when there is none."""
        with self.store.lock:
            found = self._at(path)
        return -1 if found is None else found.id

    def getScriptText(self, call: Call, number: int) -> str:
        """Text of a script."""
        with self.store.lock:
            call.readable("OriginalFile", number)
        return self.server.files.path(number).read_text(encoding="utf-8")

    def getScriptWithDetails(self, call: Call, number: int) -> dict[str, Any]:
        """Text of a script and its file."""
        with self.store.lock:
            file = load_with(self, call, call.readable("OriginalFile", number), {})
        return {self.getScriptText(call, number): rtypes.robject(file)}

    def canRunScript(self, call: Call, number: int) -> bool:
        """Whether a processor would take it."""
        with self.store.lock:
            return self.store.find("OriginalFile", number) is not None

    def validateScript(self, call: Call, job: Any, accepted: Any) -> Any:
        """The file of a job that may run."""
        with self.store.lock:
            found = self.store.find("Job", job._id._val)
            links = self.store.collection(found, "originalFileLinks") if found is not None else []
            return load_with(self, call, links[0].get("child"), {}) if links else None

    def getParams(self, call: Call, number: int) -> Any:
        """Inputs and outputs of a script; the processor runs it to find out."""
        with self.store.lock:
            script = call.readable("OriginalFile", number)
            key = (number, script.get("hash"))
        if key not in self.server.script_params:
            session = self.server.sessions.create(self.session.user, self.session.group)
            job = self._job(call, "ParseJob", script)
            found = processor(self.server).parseJob(session.uuid, self._loaded(call, job), self._stand(call))
            self.server.sessions.kill(session)
            if found is None:
                raise api_usage(f"Can't find params for {number}!")
            self.server.script_params[key] = found
        return self.server.script_params[key]

    def runScript(self, call: Call, number: int, inputs: Any, wait: Any) -> Any:
        """Starts a script in a session of its own, which ends with it; answers the process."""
        params = self.getParams(call, number)
        with self.store.lock:
            script = call.readable("OriginalFile", number)
        session = self.server.sessions.create(self.session.user, self.session.group)
        session.inputs.update(inputs or {})
        job = self._job(call, "ScriptJob", script)
        process = processor(self.server).processJob(session.uuid, params, self._loaded(call, job), self._stand(call))
        running = ScriptProcessService(self.server, self.session, process, session, job)
        return self.server.expose(
            self.session, omero.grid.ScriptProcess, running, str(uuid.uuid4()), category=CALLBACKS
        )

    def _upload(self, call: Call, path: str, text: str, group: Record) -> int:
        with self.store.transaction():
            folder, name = os.path.split(path)
            file = self.store.add("OriginalFile", owner=self.session.user, group=group, event=call.event(), name=name)
            self.store.set(file, "path", folder.rstrip("/") + "/")
            self.store.set(file, "mimetype", MIMETYPE)
            self._write(file, text)
            return file.id

    def _write(self, file: Record, text: str) -> None:
        data = text.encode()
        self.server.files.path(file.id).write_bytes(data)
        self.store.set(file, "size", len(data))
        self.store.set(file, "hash", hashlib.sha1(data).hexdigest())
        self.store.set(file, "hasher", self.store.first("ChecksumAlgorithm", value="SHA1-160"))

    def _scripts(self) -> list[Record]:
        return [f for f in self.store.all("OriginalFile") if f.get("mimetype") == MIMETYPE]

    def _official(self) -> list[Record]:
        return [f for f in self._scripts() if f.group is not None and f.group.id == USER_GROUP]

    def _at(self, path: str) -> Record | None:
        wanted = path.lstrip("/")
        return next((f for f in self._official() if f"{f.get('path')}{f.get('name')}".lstrip("/") == wanted), None)

    def _job(self, call: Call, kind: str, script: Record) -> Record:
        with self.store.transaction():
            event = call.event()
            now = int(time.time() * MILLISECONDS)
            names = {"username": self.session.user.get("omeName"), "groupname": self.session.group.get("name")}
            job = call.new(kind, event, type="Script", message="", submitted=now, scheduledFor=now, **names)
            self.store.set(job, "status", self.store.first("JobStatus", value="Submitted"))
            call.new("JobOriginalFileLink", event, parent=job, child=script)
            return job

    def _loaded(self, call: Call, job: Record) -> Any:
        with self.store.lock:
            return load_with(self, call, job, {"status": {}, "details.group": {}, "details.owner": {}})

    def _stand(self, call: Call) -> Stand:
        return Stand(call.adapter, dict(HEADERS))


def processor(server: Server) -> Any:
    """The real processor, which runs each script in a process with its own connection to this server."""
    with server.store.lock:
        if server.processor is None:
            home = legacy_path(str(server.folder))
            (server.folder / "lib" / "server").mkdir(parents=True, exist_ok=True)
            config = server.folder / "ice.config"
            router = f"OMERO.Glacier2/router:tcp -h 127.0.0.1 -p {server.ports[0]}"
            config.write_text(f"Ice.Default.Router={router}\nomero.host=127.0.0.1\n")
            context = inner_context(server)
            server.processor = omero.processor.ProcessorI(
                context, use_session=context.session, cfg=str(config), omero_home=home
            )
        return server.processor
