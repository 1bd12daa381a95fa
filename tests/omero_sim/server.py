"""The whole server: database, sessions, and the two adapters on which Ice listens."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import Glacier2
import Ice
import omero
import omero.columns
import omero.ObjectFactoryRegistrar
from omero import rtypes

from omero_sim.accounts import Accounts
from omero_sim.dispatch import Dispatcher
from omero_sim.faults import Faults
from omero_sim.files import Files
from omero_sim.ledger import Ledger
from omero_sim.pixel_data import PLANE_SIDE, PixelData
from omero_sim.records import Store
from omero_sim.router import ROUTER, Connections, Gate, Router, unique_name
from omero_sim.services.factory import ServiceFactory
from omero_sim.sessions import Session, Sessions
from omero_sim.views import View

if TYPE_CHECKING:
    from omero_sim.certificate import Certificate

HOST = "127.0.0.1"

# What one session may have open at once on a real server.
MOST_SERVICES = 10_000
PROPERTIES = {
    "Ice.MessageSizeMax": "250000",
    "Ice.ThreadPool.Server.Size": "8",
    "Ice.ThreadPool.Server.SizeMax": "64",
    "Ice.ThreadPool.Client.Size": "2",
    "Ice.ThreadPool.Client.SizeMax": "64",
    "Ice.ACM.Server.Timeout": "120",
    "Ice.ImplicitContext": "Shared",
    "Ice.Warn.Connections": "0",
    "Ice.Warn.Dispatch": "0",
}
TLS_PROPERTIES = {
    "Ice.Plugin.IceSSL": "IceSSL:createIceSSL",
    "IceSSL.VerifyPeer": "0",
    "IceSSL.Protocols": "tls1_2",
    "IceSSL.Ciphers": "HIGH",
}


@dataclass(frozen=True)
class Options:
    """How to start a server.

    Attributes:
        folder: Where it keeps files.
        root_password: Of the administrator.
        certificate: For TLS; None leaves it out.
        tcp_port, tls_port: 0 for any free one.
    """

    folder: Path
    root_password: str
    certificate: Certificate | None = None
    tcp_port: int = 0
    tls_port: int = 0


class Server:
    """A running server."""

    def __init__(self, options: Options) -> None:
        self.folder = options.folder
        self.settings = {
            "omero.db.uuid": str(uuid.uuid4()),
            "omero.data.dir": str(options.folder),
            "omero.client.ui.tree.orphans.name": "Orphaned Images",
            "omero.client.ui.tree.orphans.enabled": "true",
            "omero.sessions.timeout": "600000",
            "omero.pixeldata.max_plane_width": str(PLANE_SIDE),
            "omero.pixeldata.max_plane_height": str(PLANE_SIDE),
        }
        self.most_services = MOST_SERVICES
        self.store = Store()
        self.accounts = Accounts(self.store, options.root_password)
        self.sessions = Sessions(self.store, self.accounts)
        self.ledger = Ledger()
        self.faults = Faults()
        self.pixels = PixelData(options.folder / "Pixels")
        self.files = Files(options.folder / "Files", self.pixels)
        self.connections = Connections(self)
        # How images are shown, by pixels and user.
        self.views: dict[tuple[int, int], View] = {}
        # The real servants of tables and scripts: what they are given, and what they found out.
        self.inner_context: Any = None
        self.inner_session: Session | None = None
        self.processor: Any = None
        self.script_params: dict[tuple[int, str], Any] = {}
        self._names: dict[str, str] = {}
        self._lock = threading.Lock()
        self.communicator = _communicator(options)
        # Inner objects are reached through the gate alone; it needs an adapter of its own because a collocated call
        # has no connection.
        self.inner = self.communicator.createObjectAdapterWithEndpoints("Blitz", f"tcp -h {HOST}")
        self.public = self.communicator.createObjectAdapterWithEndpoints("Public", _endpoints(options))
        self.public.add(Router(self), self.communicator.stringToIdentity(ROUTER))
        self.public.addDefaultServant(Gate(self), "")
        self.inner.activate()
        self.public.activate()

    @property
    def ports(self) -> list[int]:
        """The TCP port, then that of TLS."""
        return [endpoint.getInfo().port for endpoint in self.public.getEndpoints()]

    def expose(
        self, session: Session, interface: Any, implementation: Any, name: str, category: str | None = None
    ) -> Any:
        """Proxy of an object that only `session` may call, made when it is not there yet."""
        identity = Ice.Identity(name=name, category=session.category if category is None else category)
        with self._lock:
            if self.inner.find(identity) is None:
                self.inner.add(Dispatcher(self, session, interface, implementation).servant(), identity)
                self._names[name] = interface.__name__
        return proxy_class(interface).uncheckedCast(self.inner.createProxy(identity))

    def expose_new(self, session: Session, interface: Any, implementation: Any) -> Any:
        """Proxy of an object that was made for this call."""
        return self.expose(session, interface, implementation, unique_name(interface))

    def factory(self, session: Session) -> Any:
        """Proxy of the factory of a session."""
        return self.expose(session, omero.api.ServiceFactory, ServiceFactory(self, session), session.uuid)

    def remember(self, identity: Any, interface: Any) -> None:
        """Names the calls to an object that was put into the inner adapter by somebody else."""
        self._names[identity.name] = interface.__name__

    def forget(self, session: Session, identity: Any) -> None:
        """The object is closed."""
        session.stateful.pop(identity.name, None)
        with self._lock:
            self._names.pop(identity.name, None)
            if self.inner.find(identity) is not None:
                self.inner.remove(identity)

    def name_of(self, identity: Any, operation: str) -> str:
        """`Interface.operation`, as faults and the ledger name calls."""
        return f"{self._names.get(identity.name, 'Object')}.{operation}"

    def restart(self) -> None:
        """What clients see of a restart: sessions and connections are gone, data is not."""
        for session in self.sessions.all():
            if session is not self.inner_session:
                self.sessions.kill(session)
        self.connections.close_all()

    def stop(self) -> None:
        """Ends it."""
        self.communicator.destroy()


def proxy_class(interface: Any) -> Any:
    """The class of proxies of an interface."""
    if interface is Glacier2.Session:
        return Glacier2.SessionPrx
    module = omero
    parts = str(interface.ice_staticId()).strip(":").split("::")
    for name in parts[1:-1]:
        module = getattr(module, name)
    return getattr(module, f"{parts[-1]}Prx")


def _communicator(options: Options) -> Any:
    data = Ice.InitializationData()
    data.properties = Ice.createProperties()
    wanted = dict(PROPERTIES)
    if options.certificate is not None:
        wanted |= TLS_PROPERTIES | {
            "IceSSL.DefaultDir": str(options.certificate.path.parent),
            "IceSSL.CertFile": options.certificate.path.name,
            "IceSSL.Password": options.certificate.password,
        }
    for name, value in wanted.items():
        data.properties.setProperty(name, value)
    communicator = Ice.initialize(data)
    omero.ObjectFactoryRegistrar.registerObjectFactory(communicator, None)
    factories = [*rtypes.ObjectFactories.values(), *omero.columns.ObjectFactories.values()]
    for factory in factories:
        factory.register(communicator)
    return communicator


def _endpoints(options: Options) -> str:
    tcp = f"tcp -h {HOST} -p {options.tcp_port}"
    return tcp if options.certificate is None else f"{tcp}:ssl -h {HOST} -p {options.tls_port}"
