"""`noyau models list|show|history|check`: what there is. Without --server these are the user's own models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noyau.commands import options
from noyau.commands.credentials import NOBODY, Credentials, with_credentials
from noyau.commands.exits import told
from noyau.commands.model_desk import model_desk
from noyau.commands.showing import show_json, show_line, show_table

if TYPE_CHECKING:
    from noyau.domain.catalogue import ModelEntry, ModelScore
    from noyau.domain.model import ModelInfo

Model = Annotated[str, typer.Argument(help="Model: name, name@version or name@alias.")]


@with_credentials
def list_models(
    server: options.Server = None,
    local: options.Local = False,
    credentials: Credentials = NOBODY,
    json: options.Json = False,
) -> None:
    """List models with their versions and aliases."""
    with told(json), model_desk(server, local, credentials) as desk:
        found = desk.catalogue()
        if json:
            # As before there were versions: the package's own words first.
            show_json({"models": [_plain(entry) for entry in found.entries], "problems": found.problems})
        else:
            columns = ["model", "aliases", "dimensions", "voxel size (µm)", "diameter", "registered", "description"]
            show_table(columns, [_line(entry) for entry in found.entries])
        for problem in found.problems:
            typer.echo(f"warning: {problem.what}: {problem.cause} {problem.remedy}".rstrip(), err=True)


@with_credentials
def show_model(
    model: Model,
    server: options.Server = None,
    local: options.Local = False,
    credentials: Credentials = NOBODY,
    json: options.Json = False,
) -> None:
    """Show one model: what it was trained on, its parameters and its figures."""
    with told(json), model_desk(server, local, credentials) as desk:
        entry = desk.entry(model)
        if json:
            show_json({"model": _plain(entry)})
            return
        show_table(["model", entry.info.ref], list(_rows(entry)))


@with_credentials
def show_history(
    name: Annotated[str, typer.Argument(help="Model name, without version.")],
    server: options.Server = None,
    local: options.Local = False,
    credentials: Credentials = NOBODY,
    json: options.Json = False,
) -> None:
    """Show what happened to a model: registrations, promotions, rollbacks and removals."""
    with told(json), model_desk(server, local, credentials) as desk:
        events = desk.history(name)
        if json:
            show_json({"events": events})
            return
        rows = [(_when(e.at), e.by, e.action.value, e.version, e.alias, e.previous) for e in events]
        show_table(["when", "who", "what", "version", "alias", "before"], rows)


@with_credentials
def check_model(
    model: Annotated[str, typer.Argument(help="Model, or a package folder or .zip archive on this machine.")],
    server: options.Server = None,
    local: options.Local = False,
    credentials: Credentials = NOBODY,
    json: options.Json = False,
) -> None:
    """Check what a model's package carries of what others need to use it and to make it again; name what is missing."""
    with told(json):
        score = _score(model, server, local, credentials)
        if json:
            missing = [element.name for element in score.elements if not element.present]
            show_json({"model": score.model, "elements": score.elements, "missing": missing})
            return
        rows = [(e.name, "yes" if e.present else "MISSING", e.purpose, e.where, e.why) for e in score.elements]
        show_table([score.model, "there", "needed", "where", "what"], rows)
        present = sum(element.present for element in score.elements)
        show_line(f"{present} of {len(score.elements)} elements are there.")


def _score(model: str, server: str | None, local: bool, credentials: Credentials) -> ModelScore:
    if Path(model).exists():
        from noyau.config import load_settings
        from noyau.wiring import own_model_desk

        return own_model_desk(load_settings()).check_path(options.absolute(model))
    with model_desk(server, local, credentials) as desk:
        return desk.check(model)


def _plain(entry: ModelEntry) -> dict[str, Any]:
    from noyau.commands.showing import plain

    facts = {"aliases": entry.aliases, "origin": entry.origin.value, "by": entry.by, "registered": entry.registered}
    return {**plain(entry.info), **plain(facts)}


def _line(entry: ModelEntry) -> tuple[Any, ...]:
    info = entry.info
    registered = f"{_when(entry.registered)} {entry.by}".strip() if entry.registered else entry.origin.value
    return (
        info.ref,
        ", ".join(entry.aliases),
        info.ndim,
        _size(info),
        info.diameter,
        registered,
        info.description,
    )


def _rows(entry: ModelEntry) -> list[tuple[str, Any]]:
    info = entry.info
    rows: list[tuple[str, Any]] = [
        ("description", info.description),
        ("aliases", ", ".join(entry.aliases)),
        ("origin", entry.origin.value),
        ("registered", f"{_when(entry.registered)} by {entry.by or 'nobody who said so'}" if entry.registered else ""),
        ("author", info.author),
        ("parent", info.parent),
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
    return [row for row in rows if row[1]]


def _when(time: Any) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def _size(info: ModelInfo) -> str:
    return "any" if info.voxel_size is None else ", ".join(f"{value:g}" for value in info.voxel_size)
