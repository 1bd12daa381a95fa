"""Who did what: one line of JSON per call that changes something or was refused, in a file that only grows.

A line says when, who (proven names, address), which method, which job or model, and how it ended. It never holds a
request's other contents, so no secret can get into it.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from noyau.domain.errors import FailedPrecondition
from noyau.domain.principal import Principal

CHANGES = frozenset(
    (
        *(f"/noyau.v1.JobService/{name}" for name in ("Submit", "Cancel")),
        *(f"/noyau.v1.ModelService/{name}" for name in ("Register", "Upload", "SetAlias", "Rollback", "Remove")),
    )
)
"""Calls that are always written down."""
REFUSALS = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED"})
"""Ends of calls that are always written down."""

_LONGEST = 200
_NAME = re.compile(r"[A-Za-z0-9_.@:-]{1,200}")


class AuditLog:
    """Appends to a file. Each line is one write, so several processes may share it.

    Rotation is logrotate's: the file is opened again as soon as its name stands for another file, so that it may be
    moved away at any time and no `copytruncate` or signal is needed.

    Args:
        path: of the file; made where it is absent, readable for its owner and group only.
        reads: also calls that only look.

    Raises:
        FailedPrecondition: the file cannot be written.
    """

    def __init__(self, path: Path, reads: bool = False) -> None:
        self._path = path
        self._reads = reads
        self._lock = threading.Lock()
        self._file = -1
        self._log = structlog.get_logger("noyau.audit")
        try:
            self._reopen()
        except OSError as error:
            raise FailedPrecondition(
                f"The audit log {path} cannot be written ({error.strerror}).", "Give `auth.audit_file` another path."
            ) from error

    def wants(self, method: str, status: str) -> bool:
        """Whether a call that ended so is to be written down."""
        return self._reads or method in CHANGES or status in REFUSALS

    def write(self, entry: dict[str, Any]) -> None:
        """Appends a line. A full disk does not stop the service; its log then tells of every line that is missing."""
        line = json.dumps(entry, ensure_ascii=True).encode() + b"\n"
        try:
            with self._lock:
                if self._is_moved():
                    self._reopen()
                if os.write(self._file, line) != len(line):
                    raise OSError("the disk is full")
        except OSError as error:
            self._log.error("audit line lost", why=str(error), **entry)

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def _is_moved(self) -> bool:
        try:
            return not os.path.samestat(os.fstat(self._file), self._path.stat())
        except FileNotFoundError:
            return True

    def _reopen(self) -> None:
        opened = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        if self._file >= 0:
            os.close(self._file)
        self._file = opened


def entry_of(
    method: str,
    status: str,
    caller: Principal | None,
    peer: str,
    request: Any,
    answer: Any,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> dict[str, Any]:
    """A line.

    Args:
        method: full name, as in `/noyau.v1.JobService/Submit`.
        status: name of the gRPC status.
        caller: None where that was refused.
        peer: as gRPC has it, with the address and the port.
        request, answer: messages; None where there was none, or many.
        now: the time.
    """
    return {
        "time": now().isoformat(timespec="milliseconds"),
        "call": method.rpartition(".")[2],
        "status": status,
        "who": list(caller.names) if caller is not None else [],
        "role": "" if caller is None or not caller.is_proven else _role(caller),
        "peer": peer[:_LONGEST],
        **_subject(request, answer),
    }


def _role(caller: Principal) -> str:
    return "operator" if caller.operator else "manager" if caller.manages else "user"


def _subject(request: Any, answer: Any) -> dict[str, str]:
    """The job or model that a call was about: what the answer names, else what the request does."""
    job: Any = getattr(answer, "job", None)
    model: Any = getattr(answer, "model", None)
    if job is not None:
        return {"job": job.id, "task": str(job.spec.WhichOneof("task") or ""), "group": job.group}
    if getattr(model, "version", None):
        return {"model": f"{model.name}@{model.version}", **_texts(request, "alias")}
    found = {**_texts(request, "job_id", "model", "name", "alias", "group"), **_spec(request)}
    if "job_id" in found:
        found["job"] = found.pop("job_id")
    return found


def _texts(message: Any, *names: str) -> dict[str, str]:
    """Fields of a message that hold a name. What is no name is left out: a slip of the keyboard may be a password."""
    values = ((name, getattr(message, name, "")) for name in names)
    return {name: value for name, value in values if isinstance(value, str) and _NAME.fullmatch(value)}


def _spec(request: Any) -> dict[str, str]:
    spec = getattr(request, "spec", None)
    task = spec.WhichOneof("task") if spec is not None else None
    return {"task": str(task)} if task else {}
