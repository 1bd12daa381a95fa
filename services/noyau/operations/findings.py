"""What `noyau doctor` says of one thing: whether it works, what was found, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from noyau.domain.errors import NoyauError


class Status(StrEnum):
    """`absent`: a part that is optional is not there. `warning`: it works, but not well. `failed`: it does not work."""

    OK = "ok"
    ABSENT = "absent"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report.

    Attributes:
        name: what was looked at.
        status: how it is.
        found: what was found; never a secret.
        remedy: what to do; empty where all is well.
    """

    name: str
    status: Status
    found: str
    remedy: str = ""


Check = Callable[[], Iterable[Finding]]


def ok(name: str, found: str) -> Finding:
    """It works."""
    return Finding(name, Status.OK, found)


def look(name: str, check: Check) -> Iterator[Finding]:
    """The findings of a check; what it raises is a finding as well, so that one fault hides no other."""
    try:
        yield from check()
    except NoyauError as error:
        yield Finding(name, Status.FAILED, error.cause, error.remedy)
    except Exception as error:
        # A doctor that falls ill is no help: libraries fail in ways of their own on a broken machine.
        yield Finding(name, Status.FAILED, f"{type(error).__name__}: {error}", "Mend what the message names.")
