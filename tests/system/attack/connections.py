"""Many connections at once: `python tests/system/attack/connections.py --connections 10000`.

Without --server it starts a service of its own and stops it afterwards. Each connection says hello in HTTP/2 and then
nothing more; while all of them are held, other callers must be served, and after they are gone nothing may be left.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from http2 import connect

_RESERVE = 200
"""Open files that the process needs besides."""


def possible(wanted: int) -> int:
    """How many connections this process may open, at most `wanted`; its limit is raised as far as it goes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted + _RESERVE if hard == resource.RLIM_INFINITY else min(hard, wanted + _RESERVE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return min(wanted, most - _RESERVE)


@contextlib.contextmanager
def held(address: tuple[str, int], count: int) -> Iterator[list[socket.socket]]:
    """That many connections, as far as the service takes them; closed with the context."""
    found: list[socket.socket] = []
    try:
        for _ in range(count):
            try:
                found.append(connect(address, 10.0))
            except OSError:
                # The service is free to refuse; the count tells.
                continue
        yield found
    finally:
        for connection in found:
            connection.close()


def say(line: str) -> None:
    """One line of the report."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Opens them, looks at the service, and says what it saw."""
    here = Path(__file__).parent
    sys.path.insert(0, str(here.parents[1] / "forging"))
    from target import Target

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    wanted = parser.parse_args().connections
    count = possible(wanted)
    with tempfile.TemporaryDirectory() as folder, Target(Path(folder)) as target:
        before = target.memory_mib()
        began = time.monotonic()
        with held(target.host_and_port, count) as connections:
            opened = time.monotonic() - began
            began = time.monotonic()
            target.check()
            say(
                f"{len(connections)} of {wanted} connections in {opened:.1f} s; "
                f"a caller among them was served in {time.monotonic() - began:.2f} s; "
                f"memory {before:.0f} -> {target.memory_mib():.0f} MiB, {target.open_files()} open files"
            )
        time.sleep(5)
        target.check()
        say(f"after they left: memory {target.memory_mib():.0f} MiB, {target.open_files()} open files; it lives")


if __name__ == "__main__":
    main()
