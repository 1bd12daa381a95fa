"""Where the OMERO server of the tests is: the one that the environment names, or a simulated one in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
TLS_PORT = 4064


class Refused(Exception):
    """The environment names a server but not how to get in."""


@dataclass(frozen=True)
class Place:
    """How to reach a server.

    Attributes:
        host, port: For TLS.
        tcp: Host in the form that asks for plain TCP, where the server offers it; empty otherwise.
        admin, password: Account of an administrator who may make users and groups.
        control: Where failures are ordered; empty for a real server.
    """

    host: str
    port: int
    tcp: str
    admin: str
    password: str
    control: str = ""

    def order(self, path: str, body: dict[str, Any] | None = None, *, method: str = "POST") -> Any:
        """Sends an order to the simulated server and returns its answer."""
        data = json.dumps(body or {}).encode() if method == "POST" else None
        request = urllib.request.Request(self.control + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


@contextmanager
def open_place(folder: Path) -> Iterator[Place]:
    """The server of the environment, else a simulated one that runs until the end.

    Raises:
        Refused: A server is named without the password of an administrator.
    """
    if os.environ.get("OMERO_HOST"):
        yield _named(os.environ)
        return
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "omero_sim",
        "--folder",
        str(folder),
        "--root-password",
        "root-secret",
    ]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    log = (folder / "log").open("wb")
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment)
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("no pipes")
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the simulated server did not start:\n{(folder / 'log').read_text()[-3000:]}")
        found = json.loads(line)
        tcp = f"tcp://{found['host']}:{found['tcp_port']}"
        yield Place(found["host"], found["tls_port"], tcp, "root", "root-secret", found["control"])
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()
        log.close()


def _named(environment: os._Environ[str]) -> Place:
    password = environment.get("OMERO_ROOT_PASSWORD")
    admin = "root"
    if password is None:
        admin, password = environment.get("OMERO_USER", ""), environment.get("OMERO_PASSWORD")
    if not password:
        raise Refused(
            "OMERO_HOST is set: set OMERO_ROOT_PASSWORD too, or OMERO_USER and OMERO_PASSWORD of an administrator"
        )
    return Place(environment["OMERO_HOST"], int(environment.get("OMERO_PORT", TLS_PORT)), "", admin, password)
