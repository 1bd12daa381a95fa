"""Starts the server and says on one line of JSON where it listens; it ends when its standard input is closed.

python -m omero_sim --folder /tmp/omero --root-password secret [--tcp-port 4063 --tls-port 4064]
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path

from omero_sim.certificate import make_certificate
from omero_sim.control import Control
from omero_sim.server import HOST, Options, Server


def main() -> None:
    """Runs until nobody listens any more."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--root-password", default="omero")
    parser.add_argument("--tcp-port", type=int, default=0)
    parser.add_argument("--tls-port", type=int, default=0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    certificate = make_certificate(arguments.folder / "tls")
    options = Options(
        arguments.folder,
        arguments.root_password,
        certificate,
        arguments.tcp_port,
        arguments.tls_port,
    )
    server = Server(options)
    control = Control(server)
    tcp, tls = server.ports
    place = {"host": HOST, "tcp_port": tcp, "tls_port": tls, "control": control.url, "pid": os.getpid()}
    sys.stdout.write(json.dumps(place) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    # Threads of Ice and of tables would keep the process alive.
    os._exit(0)


if __name__ == "__main__":
    main()
