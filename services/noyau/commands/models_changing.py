"""`noyau models register|import|export|promote|rollback|alias|remove`: what changes models, at a service or here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noyau.commands import options
from noyau.commands.credentials import NOBODY, Credentials, with_credentials
from noyau.commands.exits import told
from noyau.commands.model_desk import model_desk, user_name
from noyau.commands.models import Model
from noyau.commands.showing import plain, show_json, show_line
from noyau.domain.catalogue import PRODUCTION
from noyau.domain.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from noyau.domain.catalogue import ModelEntry
    from noyau.models.bioimageio.objects import ObjectRule
    from noyau.models.desk import RegisterOptions

Name = Annotated[str | None, typer.Option("--name", help="Name here; default: the package's own.")]
Alias = Annotated[str | None, typer.Option("--alias", help="Let this alias point to the new version at once.")]
By = Annotated[str | None, typer.Option("--by", help="Who does this, for the record. Default: the user's name.")]


@with_credentials
def register_model(
    package: Annotated[str, typer.Argument(help="Package folder (as `noyau train` writes it) or .zip archive.")],
    name: Name = None,
    alias: Alias = None,
    by: By = None,
    server: options.Server = None,
    local: options.Local = False,
    credentials: Credentials = NOBODY,
    json: options.Json = False,
) -> None:
    """Register a model as the next version of its name. It must pass the test that it brings along."""
    with told(json):
        chosen = _options(by, name, alias)
        if Path(package).is_file():
            _show(_register_archive(package, chosen, server, local, credentials), json)
            return
        with model_desk(server, local, credentials) as desk:
            _show(desk.register(options.absolute(package), chosen), json)


@with_credentials
def import_model(
    archive: Annotated[str, typer.Argument(help="bioimage.io archive (.zip) on this machine.")],
    name: Name = None,
    alias: Alias = None,
    kind: Annotated[
        str | None, typer.Option(help="What the output of another maker's network means: foreground, border or labels.")
    ] = None,
    foreground: Annotated[int | None, typer.Option(help="Its foreground channel, counted from 0.")] = None,
    border: Annotated[int | None, typer.Option(help="Its border channel, counted from 0.")] = None,
    output: Annotated[int, typer.Option(help="Which of its outputs, counted from 0.")] = 0,
    threshold: Annotated[float, typer.Option(help="Foreground probability threshold.")] = 0.5,
    allow_torchscript: Annotated[
        bool, typer.Option("--allow-torchscript", help="Take TorchScript weights, which are a program.")
    ] = False,
    by: By = None,
    server: options.Server = None,
    local: options.Local = False,
    credentials: Credentials = NOBODY,
    json: options.Json = False,
) -> None:
    """Import a bioimage.io archive, ours or another maker's, and register it. It is checked before anything runs."""
    with told(json):
        rule = _rule(kind, foreground, border, output, threshold)
        chosen = _options(by, name, alias, rule, allow_torchscript)
        _show(_register_archive(archive, chosen, server, local, credentials), json)


@with_credentials
def export_model(
    model: Model,
    archive: Annotated[str, typer.Argument(help="The .zip file to write.")],
    overwrite: options.Overwrite = False,
    server: options.Server = None,
    local: options.Local = False,
    credentials: Credentials = NOBODY,
    json: options.Json = False,
) -> None:
    """Export a model as a bioimage.io archive."""
    with told(json), model_desk(server, local, credentials) as desk:
        target = Path(options.absolute(archive))
        if not target.parent.is_dir():
            raise NotFound(f"There is no folder '{target.parent}'.", "Make it first.")
        info = desk.export(model, target, overwrite=overwrite)
        if json:
            show_json({"model": info.ref, "digest": info.digest, "archive": str(target)})
        else:
            show_line(f"{info.ref} is in {target}")


@with_credentials
def promote_model(
    model: Model,
    alias: Annotated[str, typer.Option("--alias", help="Alias to move.")] = PRODUCTION,
    by: By = None,
    server: options.Server = None,
    local: options.Local = False,
    credentials: Credentials = NOBODY,
    json: options.Json = False,
) -> None:
    """Let the alias `production`, and with it the bare name, mean a version. Nothing is restarted."""
    with told(json):
        name, _, version = model.partition("@")
        if not version:
            raise InvalidInput(
                f"'{model}' names no version.", f"Write which one: {model}@2, or {model}@latest for the newest."
            )
        with model_desk(server, local, credentials) as desk:
            _show_alias(desk.set_alias(name, alias, version, _by(by)), alias, json)


@with_credentials
def rollback_model(
    name: Annotated[str, typer.Argument(help="Model name, without version.")],
    alias: Annotated[str, typer.Option("--alias", help="Alias to move.")] = PRODUCTION,
    by: By = None,
    server: options.Server = None,
    local: options.Local = False,
    credentials: Credentials = NOBODY,
    json: options.Json = False,
) -> None:
    """Let `production` mean what it meant before its last promotion, or else the next older version."""
    with told(json), model_desk(server, local, credentials) as desk:
        _show_alias(desk.rollback(name, alias, _by(by)), alias, json)


@with_credentials
def alias_model(
    model: Annotated[str, typer.Argument(help="name@version; with --remove the name alone.")],
    alias: Annotated[str, typer.Argument(help="Alias, e.g. candidate.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take the alias away.")] = False,
    by: By = None,
    server: options.Server = None,
    local: options.Local = False,
    credentials: Credentials = NOBODY,
    json: options.Json = False,
) -> None:
    """Let any alias point to a version, or take it away."""
    if not remove:
        promote_model(model, alias, by, server, local, credentials, json)
        return
    with told(json), model_desk(server, local, credentials) as desk:
        name = model.partition("@")[0]
        desk.drop_alias(name, alias, _by(by))
        show_json({"model": name, "removed_alias": alias}) if json else show_line(f"{name}@{alias} is gone")


@with_credentials
def remove_model(
    model: Annotated[str, typer.Argument(help="name@version in full.")],
    by: By = None,
    server: options.Server = None,
    local: options.Local = False,
    credentials: Credentials = NOBODY,
    json: options.Json = False,
) -> None:
    """Remove a registered version that no alias points to. Its number is never given again."""
    with told(json), model_desk(server, local, credentials) as desk:
        info = desk.remove(model, _by(by))
        show_json({"removed": info.ref, "digest": info.digest}) if json else show_line(f"{info.ref} is gone")


def repair_model(
    name: Annotated[str, typer.Argument(help="Model name, without version.")],
    by: By = None,
    json: options.Json = False,
) -> None:
    """Make the damaged index of a model again from its packages, here in NOYAU_MODELS_HOME. Its aliases are lost."""
    with told(json):
        from noyau.config import load_settings
        from noyau.wiring import own_model_desk

        found, left_out = own_model_desk(load_settings()).registry.repair(name, _by(by))
        if json:
            show_json({"model": name, "versions": found, "left_out": left_out})
            return
        for sentence in left_out:
            typer.echo(f"warning: left out {sentence}", err=True)
        show_line(f"{name} has the versions {', '.join(found) or 'none'} again; set its aliases anew.")


def _register_archive(
    path: str, chosen: RegisterOptions, server: str | None, local: bool, credentials: Credentials
) -> ModelEntry:
    archive = Path(options.absolute(path))
    if not archive.is_file():
        raise NotFound(f"There is no archive '{archive}'.", "Give the path of a .zip file.")
    with model_desk(server, local, credentials) as desk:
        return desk.register_archive(archive, chosen)


def _options(
    by: str | None,
    name: str | None,
    alias: str | None,
    objects: ObjectRule | None = None,
    torchscript: bool = False,
) -> RegisterOptions:
    from noyau.models.desk import RegisterOptions

    return RegisterOptions(_by(by), name, alias, objects=objects, torchscript=torchscript)


def _rule(
    kind: str | None, foreground: int | None, border: int | None, output: int, threshold: float
) -> ObjectRule | None:
    """What the options say of another maker's output; None where they say nothing."""
    if kind is None and foreground is None and border is None:
        return None
    from noyau.models.bioimageio.objects import ObjectRule

    guessed = "foreground" if border is None else "border"
    return ObjectRule(kind or guessed, output, foreground or 0, border, threshold)


def _by(by: str | None) -> str:
    return user_name() if by is None else by


def _show(entry: ModelEntry, json: bool) -> None:
    if json:
        show_json({"model": plain(entry.info), "aliases": entry.aliases})
        return
    pointing = f" ({', '.join(entry.aliases)})" if entry.aliases else ""
    show_line(f"{entry.info.ref}{pointing} {entry.info.digest}")


def _show_alias(entry: ModelEntry, alias: str, json: bool) -> None:
    if json:
        show_json({"model": entry.info.ref, "digest": entry.info.digest, "alias": alias, "aliases": entry.aliases})
        return
    show_line(f"{entry.info.name}@{alias} is {entry.info.ref} {entry.info.digest}")
