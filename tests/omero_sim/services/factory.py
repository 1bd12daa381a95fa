"""ServiceFactory: where a client gets all other services from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import omero.all

from omero_sim.access import ALL_GROUPS
from omero_sim.calls import Call
from omero_sim.errors import NotSimulated, api_usage, over_usage, security
from omero_sim.services import commands
from omero_sim.services.admin import AdminService
from omero_sim.services.base import Service, StatefulService
from omero_sim.services.config import ConfigService, TypesService
from omero_sim.services.container import ContainerService, MetadataService, RoiService
from omero_sim.services.pixels import PixelsService
from omero_sim.services.query import QueryService, load_with
from omero_sim.services.raw_file import JobHandleService, RawFileService
from omero_sim.services.raw_pixels import RawPixelsService
from omero_sim.services.rendering import RenderingService, ThumbnailService
from omero_sim.services.session import SessionService
from omero_sim.services.update import UpdateService

if TYPE_CHECKING:
    from omero_sim.server import Server
    from omero_sim.sessions import Session

STATELESS: dict[str, tuple[Any, type[Service]]] = {
    "getAdminService": (omero.api.IAdmin, AdminService),
    "getConfigService": (omero.api.IConfig, ConfigService),
    "getContainerService": (omero.api.IContainer, ContainerService),
    "getMetadataService": (omero.api.IMetadata, MetadataService),
    "getPixelsService": (omero.api.IPixels, PixelsService),
    "getQueryService": (omero.api.IQuery, QueryService),
    "getRoiService": (omero.api.IRoi, RoiService),
    "getSessionService": (omero.api.ISession, SessionService),
    "getTypesService": (omero.api.ITypes, TypesService),
    "getUpdateService": (omero.api.IUpdate, UpdateService),
}
STATEFUL: dict[str, tuple[Any, type[StatefulService]]] = {
    "createJobHandle": (omero.api.JobHandle, JobHandleService),
    "createRawFileStore": (omero.api.RawFileStore, RawFileService),
    "createRawPixelsStore": (omero.api.RawPixelsStore, RawPixelsService),
    "createRenderingEngine": (omero.api.RenderingEngine, RenderingService),
    "createThumbnailStore": (omero.api.ThumbnailStore, ThumbnailService),
}


class ServiceFactory(Service):
    """The services of one session."""

    locked = False

    def __init__(self, server: Server, session: Session) -> None:
        super().__init__(server, session)
        for operation, (interface, kind) in STATELESS.items():
            setattr(self, operation, self._stateless(interface, kind))
        for operation, (interface, made) in STATEFUL.items():
            setattr(self, operation, self._stateful(interface, made))

    def getByName(self, call: Call, name: str) -> Any:
        """A stateless service by the name of its interface."""
        return getattr(self, self._operation(STATELESS, name))(call)

    def createByName(self, call: Call, name: str) -> Any:
        """A stateful service by the name of its interface."""
        return getattr(self, self._operation(STATEFUL, name))(call)

    def setCallback(self, call: Call, callback: Any) -> None:
        """Where the server would announce its end."""

    def detachOnDestroy(self, call: Call) -> None:
        """Leaving does not end the session: the gate has noted it."""

    def closeOnDestroy(self, call: Call) -> None:
        """Leaving ends the session unless others hold it: the gate has noted it."""

    def activeServices(self, call: Call) -> list[str]:
        """Names of the stateful services that are not closed."""
        return list(self.session.stateful)

    def keepAlive(self, call: Call, proxy: Any) -> bool:
        """The client lives."""
        return True

    def keepAllAlive(self, call: Call, proxies: Sequence[Any]) -> int:
        """The client lives; a bit for each service that is gone."""
        return 0

    def getSecurityContexts(self, call: Call) -> list[Any]:
        """Groups that the session may switch to."""
        with self.store.lock:
            return [load_with(self, call, g, {}) for g in self.server.accounts.groups_of(self.session.user)]

    def setSecurityContext(self, call: Call, instance: Any) -> Any:
        """Switches the session to a group; answers the old one."""
        if call.context.group == ALL_GROUPS:
            raise api_usage("Cannot switch while the group is -1")
        if self.session.stateful:
            raise security("Cannot change the group while stateful services are open")
        with self.store.lock:
            group = self.store.find("ExperimenterGroup", instance._id._val)
            if group is None or not self.server.accounts.may_enter(self.session.user, group):
                raise security(f"User {self.session.user.id} is not a member of group {instance._id._val}")
            old, self.session.group = self.session.group, group
            return load_with(self, call, old, {})

    def submit(self, call: Call, request: Any) -> Any:
        """Carries out a command; answers its handle."""
        outcome = commands.submit(self.server, call, request)
        handle = commands.HandleService(self.server, self.session, outcome)
        return self.server.expose_new(self.session, omero.cmd.Handle, handle)

    def sharedResources(self, call: Call) -> Any:
        """Tables, which are the real ones."""
        from omero_sim.services.shared_resources import SharedResourcesService

        return self._shared(omero.grid.SharedResources, SharedResourcesService)

    def getScriptService(self, call: Call) -> Any:
        """Scripts, which the real processor runs."""
        from omero_sim.services.script import ScriptService

        return self._shared(omero.api.IScript, ScriptService)

    def _shared(self, interface: Any, kind: type[Service]) -> Any:
        name = self.session.uuid + str(interface.ice_staticId()).replace("::", ".")
        return self.server.expose(self.session, interface, kind(self.server, self.session), name)

    def _stateless(self, interface: Any, kind: type[Service]) -> Any:
        return lambda call: self._shared(interface, kind)

    def _stateful(self, interface: Any, kind: type[StatefulService]) -> Any:
        def make(call: Call) -> Any:
            if len(self.session.stateful) >= self.server.most_services:
                raise over_usage(f"Too many stateful services: {len(self.session.stateful)}")
            proxy = self.server.expose_new(self.session, interface, kind(self.server, self.session))
            self.session.stateful[proxy.ice_getIdentity().name] = interface
            return proxy

        return make

    def _operation(self, table: dict[str, Any], name: str) -> str:
        wanted = name.rsplit(".", 1)[-1]
        for operation, (interface, _) in table.items():
            if interface.__name__ == wanted:
                return operation
        raise NotSimulated(f"service {name}")
