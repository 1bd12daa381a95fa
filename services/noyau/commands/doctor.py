"""`noyau doctor`: what works here, what is missing, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noyau.commands import options
from noyau.commands.credentials import NOBODY, Credentials, with_credentials
from noyau.commands.exits import EXIT_CODES, told
from noyau.commands.showing import show_json, show_line
from noyau.domain.errors import ErrorKind

if TYPE_CHECKING:
    from noyau.operations.findings import Finding


@with_credentials
def doctor(
    config: Annotated[Path | None, typer.Option(envvar="NOYAU_CONFIG", help="TOML file with settings.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Without devices and the test inputs of models.")] = False,
    server: options.Server = None,
    credentials: Credentials = NOBODY,
    json: options.Json = False,
) -> None:
    """Check this machine, the settings, places and models, and with --server a running service.

    Exit code 0 where everything that is needed works, 11 where something does not.
    """
    with told(json):
        from noyau.config import load_settings
        from noyau.operations.doctor import examine, works

        found: list[Finding] = []
        security, token = credentials.security(), credentials.token()
        for finding in examine(load_settings(config), quick=quick, server=server, security=security, token=token):
            found.append(finding)
            if not json:
                _show(finding)
        if json:
            show_json({"works": works(found), "findings": found})
    if not works(found):
        raise typer.Exit(EXIT_CODES[ErrorKind.FAILED_PRECONDITION])


def _show(finding: Finding) -> None:
    show_line(f"{finding.status:<8} {finding.name}: {finding.found}")
    if finding.remedy:
        show_line(f"{'':<8} -> {finding.remedy}")
