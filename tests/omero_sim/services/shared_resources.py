"""SharedResources: tables, which the real `omero.tables` keeps in real HDF5 files."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import Ice
import omero
import omero.tables
import omero.util
from omero import rtypes
from omero.hdfstorageV2 import HDFLIST

from omero_sim.access import SYSTEM_GROUP
from omero_sim.calls import Call
from omero_sim.errors import internal
from omero_sim.records import Record
from omero_sim.services.base import Service
from omero_sim.services.query import load_with

if TYPE_CHECKING:
    from omero_sim.server import Server

MIMETYPE = "OMERO.tables"
REPOSITORY = 0


class SharedResourcesService(Service):
    """Tables, and the repositories that they are in."""

    locked = False

    def areTablesEnabled(self, call: Call) -> bool:
        """Yes."""
        return True

    def repositories(self, call: Call) -> Any:
        """The one repository."""
        found = omero.grid.RepositoryMap()
        place = omero.model.OriginalFileI(REPOSITORY, True)
        place._name, place._path = rtypes.rstring("ManagedRepository"), rtypes.rstring("/OMERO/")
        found.descriptions, found.proxies = [place], [None]
        return found

    def newTable(self, call: Call, repository: int, path: str) -> Any:
        """A new table in the group of the SESSION: the group of the call is ignored, as the real server does."""
        with self.store.transaction():
            file = self.store.add(
                "OriginalFile", owner=self.session.user, group=self.session.group, event=call.event(), size=0
            )
            folder, name = os.path.split(path)
            for column, value in (("name", name), ("path", folder + "/"), ("mimetype", MIMETYPE)):
                self.store.set(file, column, value)
        return self._open(call, file)

    def openTable(self, call: Call, instance: Any) -> Any:
        """A table that was made before."""
        with self.store.lock:
            file = call.readable("OriginalFile", instance._id._val)
        if not self.server.files.path(file.id).exists():
            raise internal(f"no table in file {file.id}")
        return self._open(call, file)

    def addProcessor(self, call: Call, processor: Any) -> None:
        """Nothing: there is one processor, and the server knows it."""

    def removeProcessor(self, call: Call, processor: Any) -> None:
        """Nothing: there is one processor, and the server knows it."""

    def _open(self, call: Call, file: Record) -> Any:
        with self.store.lock:
            instance = load_with(self, call, file, {"details.owner": {}, "details.group": {}})
        headers = {**call.headers, "omero.group": str(file.group.id if file.group else self.session.group.id)}
        table = omero.tables.TableI(
            inner_context(self.server),
            instance,
            str(self.server.files.path(file.id)),
            self.server.factory(self.session),
            HDFLIST,
            uuid=Ice.generateUUID(),
            call_context=headers,
            adapter=call.adapter,
        )
        table.id.category = self.session.category
        self.server.remember(table.id, omero.grid.Table)
        return omero.grid.TablePrx.uncheckedCast(call.adapter.add(table, table.id))


def inner_context(server: Server) -> Any:
    """What the real servants of tables and scripts are given: the communicator and a session of root."""
    with server.store.lock:
        if server.inner_context is None:
            context = omero.util.ServerContext("inner", server.communicator, threading.Event())
            root = server.accounts.user_named("root")
            group = server.store.find("ExperimenterGroup", SYSTEM_GROUP)
            if root is None or group is None:
                raise LookupError("no root")
            session = server.sessions.create(root, group, time_to_idle=0)
            context.session = server.factory(session)
            server.inner_session = session
            server.inner_context = context
        return server.inner_context
