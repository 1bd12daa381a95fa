"""The HTTP port where Prometheus fetches figures: GET /metrics, plain text, no login."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from noyau.api.binding import split_address
from noyau.domain.errors import FailedPrecondition

PATH = "/metrics"
# Whoever says nothing for so long is cut off; slow clients must not pile up.
_IDLE_SECONDS = 10.0


class MetricsServer:
    """Serves a registry until `close`.

    Args:
        address: host:port or [v6]:port; port 0 picks a free one.
        registry: what is served.

    Raises:
        InvalidInput: the address cannot be read.
        FailedPrecondition: it is in use or not of this machine.
    """

    def __init__(self, address: str, registry: CollectorRegistry) -> None:
        host, port = split_address(address)
        kind = _ServerV6 if ":" in host else _Server
        try:
            self._server = make_server(host, port, _only_metrics(make_wsgi_app(registry)), kind, _Handler)
        except (OSError, OverflowError) as error:
            raise FailedPrecondition(
                f"Metrics cannot be served on {address}; is it in use?", "Choose another metrics.address."
            ) from error
        self.address = f"{address.rpartition(':')[0]}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="noyau-metrics", daemon=True)

    def start(self) -> Self:
        """Begins to answer."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Ends the port; answers under way are not waited for."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False


class _ServerV6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = _IDLE_SECONDS

    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes every few seconds are no news."""


def _only_metrics(app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != PATH:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"Figures are at /metrics.\n"]
        return app(environ, start_response)

    return answer
