"""Names of coordinators: no two that work on one database at a time have the same.

What keeps their jobs apart is not the name but the identity of each worker process (`identity.py`) and the fencing
token. The name is for people: logs, and the answer to which of several services did something.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from noyau.domain.errors import AlreadyExists
from noyau.jobs.database import Database, NameLock

_MOST = 100


@dataclass(frozen=True)
class HeldName:
    """A name while its coordinator lives; `close` gives it back, and so does the end of the process."""

    name: str
    lock: NameLock | None

    def close(self) -> None:
        if self.lock is not None:
            self.lock.close()


def hold_name(database: Database, wanted: str | None) -> HeldName:
    """Takes the name that was set, or one made from the host's.

    Args:
        database: the coordinators of this one are to be told apart.
        wanted: a name that an operator chose; None makes one: the host's, with a number where that is taken.

    Raises:
        AlreadyExists: another living coordinator has the chosen name.
        Unavailable: the database does not answer.
    """
    if wanted is not None:
        lock = database.lock_name(f"coordinator:{wanted}")
        if lock is None:
            raise AlreadyExists(
                f"Another coordinator named '{wanted}' works on the job database {database.label}.",
                "Give this one another name (NOYAU_JOBS__NAME), or none, or stop the other one.",
            )
        return HeldName(wanted, lock)
    host = socket.gethostname()
    if database.is_sqlite:
        return HeldName(host, None)  # the database of one host: its processes are told apart by their numbers
    for number in range(1, _MOST):
        name = host if number == 1 else f"{host}-{number}"
        lock = database.lock_name(f"coordinator:{name}")
        if lock is not None:
            return HeldName(name, lock)
    raise AlreadyExists(f"{_MOST} coordinators of the host {host} work on {database.label}.", "Stop some of them.")
