"""RawFileStore and JobHandle: the bytes of files, and how jobs are doing."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Any

from omero import rtypes

from omero_sim import access
from omero_sim.calls import Call
from omero_sim.errors import api_usage, security
from omero_sim.records import Record
from omero_sim.services.base import StatefulService
from omero_sim.services.query import load_with
from omero_sim.sessions import MILLISECONDS

FINISHED = frozenset({"Finished", "Error", "Cancelled"})


class RawFileService(StatefulService):
    """One open file."""

    _file: Record | None = None
    _writable = False
    _changed = False

    def setFileId(self, call: Call, number: int) -> None:
        """Opens the file."""
        self._file = call.readable("OriginalFile", number)
        self._writable = access.can_edit(self._file, call.context)
        self._changed = False

    def getFileId(self, call: Call) -> Any:
        """What is open."""
        return None if self._file is None else rtypes.rlong(self._file.id)

    def exists(self, call: Call) -> bool:
        """Whether there are bytes."""
        return self._path().exists()

    def size(self, call: Call) -> int:
        """Number of bytes."""
        return self._path().stat().st_size if self._path().exists() else 0

    def read(self, call: Call, position: int, length: int) -> bytes:
        """Bytes from a position; past the end there are zeros, as many as were asked for."""
        if not self._path().exists():
            return bytes(length)
        with self._path().open("rb") as file:
            file.seek(position)
            return file.read(length).ljust(length, b"\0")

    def write(self, call: Call, data: bytes, position: int, length: int) -> None:
        """Writes bytes at a position."""
        self._may_write()
        path = self._path()
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.seek(position)
            file.write(bytes(data)[:length])
        self._changed = True

    def truncate(self, call: Call, length: int) -> bool:
        """Cuts the file off; True when it was longer."""
        self._may_write()
        longer = self.size(call) > length
        if longer:
            os.truncate(self._path(), length)
            self._changed = True
        return longer

    def save(self, call: Call) -> Any:
        """Finishes writing: size and hash are known then."""
        if self._file is None:
            return None
        if self._changed:
            data = self._path().read_bytes()
            self.store.set(self._file, "size", len(data))
            self.store.set(self._file, "hash", hashlib.sha1(data).hexdigest())
            self.store.set(self._file, "hasher", self.store.first("ChecksumAlgorithm", value="SHA1-160"))
            self._changed = False
        return load_with(self, call, self._file, {})

    def close(self, call: Call) -> None:
        """Saves and ends it."""
        self.save(call)
        super().close(call)

    def _path(self) -> Path:
        if self._file is None:
            raise api_usage("RawFileStore not ready: Please use setFileId().")
        return self.server.files.path(self._file.id)

    def _may_write(self) -> None:
        self._path()
        if not self._writable:
            raise security("Updating the file is not permitted")


class JobHandleService(StatefulService):
    """State of a job, which the real script processor reports here."""

    _job: Record | None = None

    def attach(self, call: Call, number: int) -> Any:
        """Opens the job."""
        self._job = call.readable("Job", number)
        return self.jobStatus(call)

    def getJob(self, call: Call) -> Any:
        """The job."""
        return load_with(self, call, self._attached(), {"status": {}})

    def jobStatus(self, call: Call) -> Any:
        """Its state."""
        return load_with(self, call, self._attached().get("status"), {})

    def jobFinished(self, call: Call) -> Any:
        """When it ended; None while it runs."""
        job = self._attached()
        if job.get("status").get("value") not in FINISHED:
            return None
        return rtypes.rtime(job.get("finished") or int(time.time() * MILLISECONDS))

    def setStatus(self, call: Call, value: str) -> str:
        """Changes the state; answers the old one."""
        job = self._attached()
        old = str(job.get("status").get("value"))
        self.store.set(job, "status", self.store.first("JobStatus", value=value))
        if value in FINISHED:
            self.store.set(job, "finished", int(time.time() * MILLISECONDS))
        return old

    def setStatusAndMessage(self, call: Call, value: str, message: Any) -> str:
        """Changes the state and says why."""
        self.setMessage(call, message._val if message is not None else "")
        return self.setStatus(call, value)

    def setMessage(self, call: Call, message: str) -> str:
        """Changes the message; answers the old one."""
        old = self._attached().get("message") or ""
        self.store.set(self._attached(), "message", message)
        return str(old)

    def _attached(self) -> Record:
        if self._job is None:
            raise api_usage("JobHandle not attached")
        return self._job
