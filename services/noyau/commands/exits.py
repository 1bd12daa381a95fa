"""Exit codes that scripts can rely on, and the one place where errors become words on the terminal.

0   done
1   done in part: some of the images have no results
2   the command line cannot be understood
3   bad input: a request or an image that cannot be used as it is
4   something that was named does not exist
5   the output exists and --overwrite was not given
6   not permitted, or not authenticated
7   the service cannot be reached or did not answer in time
8   a limit or a resource (disk, memory, quota) is exhausted
9   cancelled, also by Ctrl-C
10  an unexpected failure; the log has the details
11  the system is not in a state for it (no such GPU, read-only target, ...)
12  stored data is damaged or missing
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType

import typer

from noyau.domain.errors import ErrorKind, NoyauError

PARTIAL = 1

EXIT_CODES = MappingProxyType(
    {
        ErrorKind.INVALID_ARGUMENT: 3,
        ErrorKind.OUT_OF_RANGE: 3,
        ErrorKind.NOT_FOUND: 4,
        ErrorKind.ALREADY_EXISTS: 5,
        ErrorKind.PERMISSION_DENIED: 6,
        ErrorKind.UNAUTHENTICATED: 6,
        ErrorKind.UNAVAILABLE: 7,
        ErrorKind.DEADLINE_EXCEEDED: 7,
        ErrorKind.RESOURCE_EXHAUSTED: 8,
        ErrorKind.CANCELLED: 9,
        ErrorKind.INTERNAL: 10,
        ErrorKind.FAILED_PRECONDITION: 11,
        ErrorKind.DATA_LOSS: 12,
    }
)


@contextmanager
def told(json_wanted: bool = False) -> Iterator[None]:
    """Turns an error inside into one or two sentences on standard error and the exit code of its kind.

    Args:
        json_wanted: also write `{"error": ...}` to standard output.
    """
    try:
        yield
    except NoyauError as error:
        code = EXIT_CODES[error.kind]
        if json_wanted:
            words = {"kind": error.kind.value, "cause": error.cause, "remedy": error.remedy, "exit_code": code}
            typer.echo(json.dumps({"error": words}, indent=2))
        typer.echo(f"noyau: {error}", err=True)
        raise typer.Exit(code) from error
    except KeyboardInterrupt as error:
        typer.echo("noyau: cancelled", err=True)
        raise typer.Exit(EXIT_CODES[ErrorKind.CANCELLED]) from error
    except BrokenPipeError as error:
        # The reader of our output (head, less) has seen enough; Python must not complain when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from error
