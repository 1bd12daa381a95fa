"""A second door, for the tests alone: order failures, end sessions, ask what was used. HTTP and JSON on the loopback.

    GET  /violations              what clients used that is not simulated
    GET  /used                    operations and queries that clients used, each once
    GET  /calls                   the operations in order
    POST /faults                  {"kind": ..., "at": ..., "operation": ..., "seconds": ..., "times": ...}; see `faults`
    POST /faults/clear
    POST /sessions/expire, /kill  {"uuid": ...}
    POST /pyramid                 {"pixels": id, "pending": true}: whether the smaller versions are still being made
    POST /services                {"most": how many services one session may have open}
    POST /restart                 sessions and connections are gone, data is not

Answers to GET have what came since the last time.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from omero_sim.faults import Fault
from omero_sim.server import HOST, Server


class Control(ThreadingHTTPServer):
    """Listens until it is shut down."""

    daemon_threads = True

    def __init__(self, server: Server) -> None:
        super().__init__((HOST, 0), _Handler)
        self.actions: dict[str, Callable[[dict[str, Any]], Any]] = {
            "GET /violations": lambda body: server.ledger.take_violations(),
            "GET /used": lambda body: server.ledger.take_used(),
            "GET /calls": lambda body: server.ledger.take_calls(),
            "POST /faults": lambda body: server.faults.order(Fault(**body)),
            "POST /faults/clear": lambda body: server.faults.clear(),
            "POST /sessions/expire": lambda body: server.sessions.expire(server.sessions.get(body["uuid"])),
            "POST /sessions/kill": lambda body: server.sessions.kill(server.sessions.get(body["uuid"])),
            "POST /pyramid": lambda body: _pyramid(server, body),
            "POST /services": lambda body: setattr(server, "most_services", body["most"]),
            "POST /restart": lambda body: server.restart(),
        }
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.server_address[1]}"


def _pyramid(server: Server, body: dict[str, Any]) -> None:
    pixels = server.store.find("Pixels", body["pixels"])
    if pixels is None:
        raise LookupError(f"no pixels {body['pixels']}")
    server.pixels.open(pixels).pending = body["pending"]


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Control

    def do_GET(self) -> None:
        """Answers a question."""
        self._answer("GET")

    def do_POST(self) -> None:
        """Carries out an order."""
        self._answer("POST")

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def _answer(self, method: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        action = self.server.actions.get(f"{method} {self.path}")
        try:
            answer, code = (action(body), 200) if action is not None else ("no such order", 404)
        except Exception as error:
            answer, code = f"{type(error).__name__}: {error}", 500
        text = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
