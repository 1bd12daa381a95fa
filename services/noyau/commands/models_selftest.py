"""`noyau models selftest`: whether a package folder still answers its test input, and a new test input for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noyau.commands import options
from noyau.commands.exits import told
from noyau.commands.showing import show_json, show_line


def selftest_package(
    folder: Annotated[Path, typer.Argument(help="Package folder, with model.json in it.")],
    renew: Annotated[
        bool, typer.Option("--renew", help="Store a new test input and answer, for a package that you trust as it is.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Run the test input of a package folder and compare with the stored answer."""
    with told(json):
        from noyau.models import selftest

        if renew:
            selftest.renew(folder)
        selftest.check(folder)
        if json:
            show_json({"package": str(folder), "passed": True, "renewed": renew})
        else:
            show_line(f"{folder} answers its test input as it did")
