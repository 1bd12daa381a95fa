"""`noyau serve`: the service until it is told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from noyau.commands.exits import told
from noyau.commands.showing import show_line


def serve(
    address: Annotated[
        str | None, typer.Option(help="host:port, [v6]:port or unix:/path; port 0 picks one. Default 127.0.0.1:50051.")
    ] = None,
    root: Annotated[
        list[Path] | None,
        typer.Option(help="Folder in which images may lie; may be repeated. Default: the folder it is started in."),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes; each runs one job at a time.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Folder of the job database and of scratch files.")] = None,
    config: Annotated[Path | None, typer.Option(envvar="NOYAU_CONFIG", help="TOML file with settings.")] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM file with the certificate chain.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file with the private key.")] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(help="PEM file: let in only clients with a certificate of this authority.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen beyond this machine without TLS; anyone may then run jobs.")
    ] = False,
    log_format: Annotated[str | None, typer.Option(help="auto, console or json.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    show_settings: Annotated[
        bool, typer.Option("--show-settings", help="Describe every setting with its value, and end.")
    ] = False,
) -> None:
    """Start the service. SIGTERM or Ctrl-C ends it; running jobs go on at the next start."""
    with told():
        from noyau.config import load_settings

        settings = load_settings(
            config,
            **_given(
                state_dir=state_dir,
                listen=_given(
                    address=address,
                    tls_certificate=tls_certificate,
                    tls_key=tls_key,
                    tls_client_ca=tls_client_ca,
                    insecure=insecure or None,
                ),
                jobs=_given(workers=workers),
                access=_given(roots=[str(path.expanduser().absolute()) for path in root] if root else None),
                log=_given(format=log_format, level=log_level),
            ),
        )
        if not settings.access.roots:
            access = settings.access.model_copy(update={"roots": (str(Path.cwd()),)})
            settings = settings.model_copy(update={"access": access})
        if show_settings:
            _describe(settings)
            return
        _serve(settings)


def _serve(settings: Any) -> None:
    from noyau.logs import configure_logging
    from noyau.main import serve as run

    configure_logging(settings.log.format, settings.log.level)
    run(
        settings,
        ready=lambda found: show_line(f"Noyau listens on {found}; images in {', '.join(settings.access.roots)}"),
    )


def _given(**values: Any) -> dict[str, Any]:
    """Without the options that were not given; those come from the environment, the file or the defaults."""
    return {name: value for name, value in values.items() if value not in (None, {})}


def _describe(settings: Any, prefix: str = "NOYAU_") -> None:
    from pydantic import BaseModel

    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        variable = f"{prefix}{name.upper()}"
        if isinstance(value, BaseModel):
            _describe(value, f"{variable}__")
        elif name == "database" and value is not None:
            # It may hold a password.
            show_line(f"{variable}=(set)\n    {field.description or ''}")
        else:
            show_line(f"{variable}={value}\n    {field.description or ''}")
