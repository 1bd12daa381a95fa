"""`noyau omero`: log in to and out of OMERO servers, and remove Noyau's results from them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noyau.commands import options
from noyau.commands.exits import told
from noyau.commands.showing import show_json, show_line, show_table
from noyau.domain.errors import InvalidInput, Unauthenticated
from noyau.domain.omero_uri import OmeroUri, parse_omero
from noyau.domain.progress import SilentReporter

if TYPE_CHECKING:
    from noyau.commands.logins import Logins
    from noyau.omero.gateway import Gateway
    from noyau.omero.inventory import Belongings
    from noyau.omero.runs import Run
    from noyau.omero.server import OmeroServer


class Telling(SilentReporter):
    """Says on standard error what was left out."""

    def log(self, message: str, level: str = "info") -> None:
        typer.echo(message, err=True)


Found = list[tuple[OmeroUri, "Run", "Belongings"]]


def login(
    alias: Annotated[str, typer.Argument(help="Name of the server in URIs, as in omero://ALIAS/image/1.")],
    host: Annotated[str | None, typer.Option(help="Its host; needed the first time.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of its router. Default: 4064, without TLS 4063.")] = None,
    user: Annotated[str | None, typer.Option(help="Login name. Default: asked for.")] = None,
    no_tls: Annotated[bool, typer.Option("--no-tls", help="Do not encrypt: a server on this machine only.")] = False,
    ca: Annotated[Path | None, typer.Option(help="PEM file of its authority, to check its certificate.")] = None,
) -> None:
    """Log in to an OMERO server. The password is asked for (or read from a pipe) and not kept; the session's key is."""
    with told():
        from noyau.omero.failures import explain, is_refused_login
        from noyau.omero.line import log_in

        server = _server(alias, host, port, not no_tls, ca)
        name = user or typer.prompt("User")
        piped = not sys.stdin.isatty()
        password = sys.stdin.readline().rstrip("\n") if piped else typer.prompt("Password", hide_input=True)
        try:
            line = log_in(server, name, password)
        except Exception as error:
            if is_refused_login(error):
                raise Unauthenticated(f"The OMERO server '{alias}' refused this user or password.") from None
            raise explain(error, "logging in", alias) from error
        line.factory.detachOnDestroy()
        _logins().keep(server, line.uuid)
        line.close()
        show_line(f"Logged in to '{alias}' ({server.host}) as {name}, until the session has been idle too long.")


def logout(alias: Annotated[str, typer.Argument(help="Name of the server.")]) -> None:
    """End the session that `noyau omero login` opened, and forget its key."""
    with told():
        from contextlib import suppress

        from noyau.omero.line import join

        logins = _logins()
        server = logins.server(alias)
        with suppress(Exception):  # it may have ended by itself
            join(server, server.own_key(), leave=False).close(kill=True)
        logins.forget(alias)
        show_line(f"Logged out of '{alias}'.")


def pull(
    uri: Annotated[str, typer.Argument(help="Image or set of images: omero://ALIAS/dataset/5?c=DAPI.")],
    folder: Annotated[Path, typer.Argument(help="Gets an npz with image and labels for each image and time point.")],
    labels: Annotated[str, typer.Option(help="Label image that is taken where an image has no ROIs.")] = "nuclei",
) -> None:
    """Fetch images with the ROIs or label images that people drew or corrected, to train on or to check."""
    with told(), _gateway() as gateway:
        from noyau.domain.access import AccessPolicy
        from noyau.omero.visitor import Visitor
        from noyau.pipelines.omero_pairs import fetch_pairs

        written = fetch_pairs(
            uri, folder, Visitor(gateway, ""), labels, access=AccessPolicy.everything(), reporter=Telling()
        )
        show_line(f"{len(written)} pairs are in {folder}.")


def clean(
    uris: Annotated[list[str], typer.Argument(help="Images or sets of images: omero://ALIAS/dataset/5.")],
    labels: Annotated[str | None, typer.Option(help="Only results of this name.")] = None,
    job: Annotated[str | None, typer.Option(help="Only results of this job.")] = None,
    incomplete: Annotated[bool, typer.Option("--incomplete", help="Only what interrupted jobs left.")] = False,
    edited: Annotated[bool, typer.Option("--edited", help="Also ROIs that somebody has changed since.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: options.Json = False,
) -> None:
    """Remove your own Noyau results from OMERO: ROIs, tables, files, label images. Nothing else is touched.

    ROIs that somebody has corrected since stay, unless --edited says otherwise.
    """
    with told(json), _gateway() as gateway:
        found = [one for uri in uris for one in _runs(gateway, parse_omero(uri))]
        chosen = [
            (uri, run, things)
            for uri, run, things in found
            if labels in (None, run.name) and job in (None, run.job) and not (incomplete and things.marker)
        ]
        if not json:
            _show(chosen)
        if not chosen or not (yes or _agreed(json)):
            return
        removed, kept = _remove(gateway, chosen, edited)
        if json:
            show_json({"runs": len(chosen), "removed": removed, "kept": kept})
            return
        show_line(f"Removed {removed} objects.")
        if kept:
            show_line(f"{kept} ROIs that were changed by hand are kept; --edited removes them as well.")


def _server(alias: str, host: str | None, port: int | None, tls: bool, ca: Path | None) -> OmeroServer:
    from noyau.config import load_settings
    from noyau.omero.server import OmeroServer

    if host is not None:
        return OmeroServer(alias, host, port or (4064 if tls else 4063), tls, ca)
    known = load_settings().omero.get(alias)
    if known is not None:
        return OmeroServer(alias, known.host, known.port, known.tls, known.ca)
    return _logins().server(alias)


def _logins() -> Logins:
    from noyau.commands.logins import own_logins

    return own_logins()


@contextmanager
def _gateway() -> Iterator[Gateway]:
    from noyau.omero.gateway import Gateway

    with Gateway(_logins().servers()) as gateway:
        yield gateway


def _runs(gateway: Gateway, uri: OmeroUri) -> Found:
    """Everything of ours about a thing and, for a set, about its images."""
    from noyau.omero.cleaning import runs_about
    from noyau.omero.visitor import Visitor

    session = Visitor(gateway, "").at(uri)
    return session.call(lambda line: runs_about(line, uri), f"looking for Noyau's results at {uri.title}")


def _remove(gateway: Gateway, chosen: Found, edited: bool) -> tuple[int, int]:
    """How many objects went, and how many ROIs stayed because somebody had changed them."""
    from noyau.omero.cleaning import remove_run
    from noyau.omero.visitor import Visitor

    visitor = Visitor(gateway, "")
    removed = kept = 0
    for uri, run, _ in chosen:
        what = f"removing Noyau's results from {uri.title}"
        done = visitor.at(uri).call(partial(remove_run, parent=uri, run=run, edited=edited), what)
        removed, kept = removed + done.objects, kept + len(done.kept)
        for place in done.zarr:
            _withdraw(place, run)
    return removed, kept


def _withdraw(place: str, run: Run) -> None:
    """Removes labels that a run wrote into an OME-Zarr, where this machine can; else says where they are."""
    from noyau.domain.access import AccessPolicy
    from noyau.pipelines.zarr_labels import withdraw_zarr_labels

    image = place.removesuffix(f"/labels/{run.name}")
    if not withdraw_zarr_labels(image, run.name, run.job, AccessPolicy.everything()):
        typer.echo(f"The labels in {place} could not be removed from here.", err=True)


def _show(chosen: Found) -> None:
    if not chosen:
        show_line("There is nothing of yours to remove.")
        return
    rows = [
        (
            uri.title,
            run.name,
            run.job,
            _state(things),
            len(things.rois),
            len(things.edited),
            len(things.annotations) + len(things.files),
            len(things.images),
        )
        for uri, run, things in chosen
    ]
    show_table(
        ["about", "labels", "job", "state", "ROIs", "changed by hand", "annotations and files", "label images"], rows
    )


def _state(things: Belongings) -> str:
    if things.marker:
        return "complete"
    return "kept" if things.is_only_edited else "interrupted"


def _agreed(json: bool) -> bool:
    if json:
        raise InvalidInput("With --json nothing is asked.", "Give --yes to remove.")
    return typer.confirm("Remove all of this?")
