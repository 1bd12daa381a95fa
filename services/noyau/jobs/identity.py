"""Who runs a job: a text that names a process so well that another one on the same kernel can tell whether it lives.

A process id alone is reused; together with the boot of the kernel, the pid namespace and the start time of the process
it is unique. Death is declared only where it can be proven (same boot, same namespace). Anything else, such as another
host, a restarted container or a rebooted machine, waits for its lease to expire. So two hosts that carry one name do
not take each other's jobs.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from noyau.domain.errors import InternalError

_SEPARATOR = "|"


@dataclass(frozen=True)
class ProcessIdentity:
    """One process of one boot of one host.

    Attributes:
        host: host name, for people.
        boot: random id of the kernel's boot; empty where the system has none.
        namespace: pid namespace, since two containers count their processes apart.
        pid: process id.
        started: start time in clock ticks since boot.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    started: str

    @classmethod
    def of(cls, pid: int | None = None) -> Self:
        """The identity of a living process of this host, this one by default."""
        pid = os.getpid() if pid is None else pid
        return cls(
            socket.gethostname().replace(_SEPARATOR, "-"), _boot(), _namespace(), pid, _start_time(pid) or "unknown"
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """The identity that `str()` wrote."""
        try:
            host, boot, namespace, pid, started = text.split(_SEPARATOR)
            return cls(host, boot, namespace, int(pid), started)
        except ValueError as error:
            raise InternalError(f"{text!r} does not name a worker process.") from error

    def __str__(self) -> str:
        return _SEPARATOR.join((self.host, self.boot, self.namespace, str(self.pid), self.started))

    @property
    def is_provably_dead(self) -> bool:
        """True where this kernel would know the process and does not, or only as a zombie."""
        if not self.boot or self.boot != _boot() or self.namespace != _namespace():
            return False
        return _start_time(self.pid) != self.started


def _boot() -> str:
    return _text(Path("/proc/sys/kernel/random/boot_id"))


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _start_time(pid: int) -> str | None:
    """Field 22 of /proc/PID/stat (proc(5)); None for a process that is gone or only waits to be reaped."""
    stat = _text(Path(f"/proc/{pid}/stat"))
    # The second field is the program's name in brackets and may hold anything; count from behind it.
    fields = stat.rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] in ("Z", "X"):
        return None
    return fields[19]


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
