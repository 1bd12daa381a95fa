"""Settings that are well formed each by itself, but cannot work here or together. All of them are named at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from noyau.api.binding import Binding, split_address
from noyau.config import Settings
from noyau.config_mistakes import Mistake, refuse, variable_name
from noyau.domain.errors import NoyauError
from noyau.jobs.database import Database
from noyau.operations.traces import check_installed
from noyau.wiring_auth import binding_of


def check_start(settings: Settings) -> None:
    """Looks at everything that can be known to fail before anything is opened.

    Raises:
        InvalidInput: names every mistake.
    """
    refuse(startup_mistakes(settings))


def startup_mistakes(settings: Settings) -> Iterator[Mistake]:
    """Mistakes in the order of the settings."""
    yield from _state_folder(settings)
    yield from _listening(settings)
    yield from _jobs(settings)
    yield from _access(settings)
    yield from _auth(settings)
    yield from _metrics(settings)
    yield from _traces(settings)
    yield from _omero(settings)


def _state_folder(settings: Settings) -> Iterator[Mistake]:
    for folder in (settings.state_dir, *settings.state_dir.parents):
        if folder.exists() and not folder.is_dir():
            yield _mistake("state_dir", f"{folder} is no folder", "Give a folder, or a name where one can be made.")
            return


def _listening(settings: Settings) -> Iterator[Mistake]:
    listen = settings.listen
    try:
        if not listen.address.startswith("unix:"):
            split_address(listen.address)
        binding_of(settings)
    except NoyauError as error:
        yield _of(error, "listen", "address")
    for name in ("tls_certificate", "tls_key", "tls_client_ca"):
        path: Path | None = getattr(listen, name)
        if path is not None:
            yield from _unreadable(path, "listen", name)


def _jobs(settings: Settings) -> Iterator[Mistake]:
    if settings.jobs.database is None:
        return
    try:
        Database.check_url(settings.jobs.database)
    except NoyauError as error:
        yield _of(error, "jobs", "database")


def _access(settings: Settings) -> Iterator[Mistake]:
    endpoint = settings.access.s3_endpoint
    if endpoint is not None:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            # The text may hold a password, so it is not repeated.
            yield _mistake(
                "access.s3_endpoint", "it is no URL of a server", "Write for example https://s3.example.org."
            )
    for place in settings.access.remote_hosts:
        if "://" in place and not place.startswith("s3://"):
            yield _mistake(
                "access.remote_hosts", f"'{place}' is no host", "Write hosts without http://, or s3://bucket."
            )


def _auth(settings: Settings) -> Iterator[Mistake]:
    auth = settings.auth
    keys = auth.tokens.keys
    if keys is not None and "://" not in keys:
        yield from _unreadable(Path(keys), "auth", "tokens", "keys")
    if auth.required and not (auth.tokens.issuer or settings.listen.tls_client_ca or settings.omero):
        ways = "Set auth.tokens, listen.tls_client_ca or an OMERO server."
        yield _mistake("auth.required", "callers would have no way to prove who they are", ways)
    if auth.audit_file is not None and not auth.audit_file.absolute().parent.is_dir():
        why = f"there is no folder {auth.audit_file.absolute().parent}"
        yield _mistake("auth.audit_file", why, "Make it, and give the service the right to write there.")


def _metrics(settings: Settings) -> Iterator[Mistake]:
    if settings.metrics.address is None:
        return
    try:
        split_address(settings.metrics.address)
        binding = Binding(settings.metrics.address, insecure=True)
    except NoyauError as error:
        yield _of(error, "metrics", "address")
        return
    if not (binding.is_local or settings.metrics.insecure):
        yield _mistake(
            "metrics.address",
            f"{settings.metrics.address} can be reached from other machines, and metrics have no login",
            f"Listen on 127.0.0.1, or set {variable_name(('metrics', 'insecure'))}=true.",
        )


def _traces(settings: Settings) -> Iterator[Mistake]:
    if settings.traces.endpoint is not None:
        try:
            check_installed()
        except NoyauError as error:
            yield _of(error, "traces", "endpoint")


def _omero(settings: Settings) -> Iterator[Mistake]:
    for alias, server in settings.omero.items():
        for name in ("ca", "password_file", "session_file"):
            path: Path | None = getattr(server, name)
            if path is not None:
                yield from _unreadable(path, "omero", alias, name)
        if server.password_env is not None and server.password_env not in os.environ:
            why = f"the environment variable {server.password_env} is not set"
            yield _mistake(f"omero.{alias}.password_env", why, "Set it to the account's password, or give a file.")


def _unreadable(path: Path, *setting: str) -> Iterator[Mistake]:
    try:
        path.open("rb").close()
    except OSError as error:
        why = f"the file {path} cannot be read ({error.strerror})"
        yield _mistake(".".join(setting), why, "Give a file that the service can read.")


def _of(error: NoyauError, *setting: str) -> Mistake:
    return _mistake(".".join(setting), error.cause.rstrip("."), error.remedy)


def _mistake(name: str, why: str, instead: str) -> Mistake:
    return Mistake(f"{name} ({variable_name(name.split('.'))})", why, instead)
