"""A case of bad input, and what must hold after every one of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crash_harness import wait_until
from product_kit import Service, cli, listing

LONGEST = 700


@dataclass(frozen=True)
class Case:
    """One mistake.

    Attributes:
        name: for the test's report.
        arguments: makes what is bad in a folder beside a good image; returns the words after the command.
        code: exit code.
        says: part of the message.
    """

    name: str
    arguments: Callable[[Path, Path], list[str]]
    code: int
    says: str


def check_refused(service: Service | None, place: Path, words: list[str], case: Case) -> None:
    """The command ends with the code of the case, one message that a person understands, and no trace on the disk."""
    before = listing(place)
    told = service.cli(*words) if service else cli(*words)
    assert told.code == case.code, told
    check_message(told.err, case.says)
    assert told.out == ""
    # What a job wrote is taken back right after its end is on record.
    wait_until(lambda: listing(place) == before, 20, "something is left behind")
    if service is not None:
        wait_until(lambda: not service.scratch, 20, "scratch is left behind")


def check_message(text: str, says: str) -> None:
    """Ends with `noyau: ` and one or two sentences that name the thing; nothing of Python and of other libraries."""
    lines = [line for line in text.splitlines() if line.startswith("noyau: ")]
    assert len(lines) == 1 and text.rstrip().endswith(lines[0]), text
    message = lines[0].removeprefix("noyau: ")
    assert says in message, message
    assert message[0].isupper() or message[0] in "'/" or message.startswith("s3://"), message
    # A remedy may end with a command to type.
    assert message.endswith((".", ")", "zarr")) and len(message) < LONGEST, message
    assert not re.search(r"Traceback|Error:|tensorstore|source locations|\bNone\b|os_error|<class", message), message
