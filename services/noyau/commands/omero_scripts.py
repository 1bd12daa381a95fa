"""`noyau omero install-scripts`: puts the scripts into the menu of OMERO.web."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from noyau.commands.exits import told
from noyau.commands.showing import show_line
from noyau.domain.errors import InvalidInput, NotFound

_SERVICE = re.compile(r"^SERVICE = ServiceAt\(.*\)$", re.MULTILINE)


def install_scripts(
    alias: Annotated[str, typer.Argument(help="OMERO server, as an administrator has logged in to it.")],
    service: Annotated[str, typer.Option(help="Address of the Noyau service, as seen from the OMERO server.")],
    name: Annotated[
        str | None, typer.Option("--alias", help="The OMERO server's name in the service's settings. Default: ALIAS.")
    ] = None,
    ca: Annotated[str, typer.Option(help="PEM file, on the OMERO server, of the service's authority.")] = "",
    source: Annotated[
        Path | None, typer.Option("--from", help="Folder of the scripts. Default: this checkout's.")
    ] = None,
) -> None:
    """Upload the scripts, or renew them. The OMERO server's Python for scripts needs noyau[omero] installed."""
    with told():
        from noyau.commands.logins import own_logins
        from noyau.omero.gateway import Gateway
        from noyau.omero.scripts import install_script

        texts = scripts_for(source or shipped_scripts(), service, name or alias, ca)
        with Gateway([own_logins().server(alias)]) as gateway:
            session = gateway.session(alias, "", None)
            for file, text in texts.items():
                work = partial(install_script, name=file, text=text)
                number, renewed = session.call(work, f"installing {file}")
                show_line(f"{'Renewed' if renewed else 'Installed'} {file} (script {number}).")


def shipped_scripts() -> Path:
    """The folder of the scripts in a checkout."""
    return Path(__file__).resolve().parents[3] / "omero_scripts" / "noyau"


def scripts_for(folder: Path, address: str, alias: str, ca: str) -> dict[str, str]:
    """The scripts by name, with the service written into those that talk to it.

    Raises:
        NotFound: there are none.
        InvalidInput: the address, alias or path cannot be written into a script.
    """
    for value in (address, alias, ca):
        if not value.isprintable() or any(c in value for c in "\"'\\{}"):
            raise InvalidInput(f"{value!r} cannot be written into a script.", "Use plain characters.")
    line = f'SERVICE = ServiceAt(address="{address}", alias="{alias}", ca="{ca}")'
    found = {path.name: _SERVICE.sub(line, path.read_text()) for path in sorted(folder.glob("*.py"))}
    if not found:
        raise NotFound(f"There are no scripts in {folder}.", "Name the folder omero_scripts/noyau with --from.")
    return found
