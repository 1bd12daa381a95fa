"""`noyau models`: what the service can run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from noyau.commands import options
from noyau.commands.connecting import connected, explain_absence
from noyau.commands.exits import told
from noyau.commands.showing import show_json, show_table
from noyau.domain.errors import NoyauError
from noyau.domain.model import ModelInfo


def list_models(
    server: options.Server = None,
    local: options.Local = False,
    tls_ca: options.TlsCa = None,
    json: options.Json = False,
) -> None:
    """List the models of the service."""
    with told(json), connected(server, local, tls_ca, workers=0) as client:
        try:
            found = client.models()
        except NoyauError as error:
            raise explain_absence(error, "" if local else server) from error
        if json:
            show_json({"models": found})
            return
        rows = [(info.ref, info.ndim, _size(info), info.diameter, info.licence, info.description) for info in found]
        show_table(["model", "dimensions", "voxel size (µm)", "diameter", "licence", "description"], rows)


def show_model(
    model: Annotated[str, typer.Argument(help="Model name or name@version.")],
    server: options.Server = None,
    local: options.Local = False,
    tls_ca: options.TlsCa = None,
    json: options.Json = False,
) -> None:
    """Show one model: what it was trained on, its parameters and its figures."""
    with told(json), connected(server, local, tls_ca, workers=0) as client:
        try:
            info = client.model(model)
        except NoyauError as error:
            raise explain_absence(error, "" if local else server) from error
        if json:
            show_json({"model": info})
            return
        show_table(["model", info.ref], list(_rows(info)))


def _rows(info: ModelInfo) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = [
        ("description", info.description),
        ("licence", info.licence),
        ("digest", info.digest),
        ("dimensions", str(info.ndim)),
        ("voxel size (µm)", _size(info)),
        ("diameter", f"{info.diameter:g}"),
        ("tile, halo, stride", f"{info.tile}, {info.halo}, {info.stride}"),
        ("architecture", f"{info.architecture} {info.arguments}"),
        ("decoder", f"{info.decoder} {info.vote}"),
    ]
    rows += [(f"metric {name}", str(value)) for name, value in info.metrics.items()]
    rows += [(f"training {name}", str(value)) for name, value in info.training.items()]
    return rows


def _size(info: ModelInfo) -> str:
    return "any" if info.voxel_size is None else ", ".join(f"{value:g}" for value in info.voxel_size)
