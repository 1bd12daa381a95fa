"""`noyau worker`: lends this host's devices to a service, through a Dask scheduler."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from noyau.commands.exits import told
from noyau.commands.showing import show_line


def worker(
    scheduler: Annotated[str | None, typer.Option(help="Address of the Dask scheduler, e.g. tls://host:8786.")] = None,
    scheduler_file: Annotated[
        Path | None, typer.Option(help="File that `dask scheduler --scheduler-file` writes, instead of the address.")
    ] = None,
    scratch: Annotated[
        Path | None, typer.Option(help="The coordinator's scratch folder (dask.scratch), as this host sees it.")
    ] = None,
    root: Annotated[
        list[Path] | None, typer.Option(help="Folder in which images may lie, as for the service; may be repeated.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto: one slot per GPU, or one of the processor; cpu; cuda: GPUs or nothing.")
    ] = None,
    slots: Annotated[int | None, typer.Option(min=1, max=64, help="Slots of the processor. Default 1.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, max=1024, help="Threads of each slot.")] = None,
    config: Annotated[Path | None, typer.Option(envvar="NOYAU_CONFIG", help="TOML file with settings.")] = None,
    tls_ca: Annotated[Path | None, typer.Option(help="PEM file of the authority of scheduler and workers.")] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM file with this worker's certificate.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file with the key of that certificate.")] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Use a scheduler on another machine without TLS.")
    ] = False,
    patience: Annotated[float | None, typer.Option(help="Seconds to wait for a scheduler that is gone.")] = None,
) -> None:
    """Work for a service that spreads its jobs: one process per GPU, or one on the processor.

    Needs a scheduler (`dask scheduler`), the same version as the service, and its scratch folder.
    """
    with told():
        from noyau.config import load_settings

        dask = _given(
            scheduler=scheduler,
            scheduler_file=scheduler_file,
            scratch=scratch,
            device=device,
            tls_ca=tls_ca,
            tls_certificate=tls_certificate,
            tls_key=tls_key,
            insecure=insecure or None,
            patience_seconds=patience,
        )
        roots = [str(path.expanduser().absolute()) for path in root] if root else None
        settings = load_settings(config, **_given(dask=dask, access=_given(roots=roots), jobs=_given(threads=threads)))
        _work(settings, slots or 1)


def _work(settings: Any, slots: int) -> None:
    from noyau.logs import configure_logging
    from noyau.worker_slots import WorkerSlots, plan_slots

    configure_logging(settings.log.format, settings.log.level)
    planned = plan_slots(settings, slots)
    show_line(f"Noyau worker: {len(planned)} x {planned[0].device}, scratch {planned[0].scratch}")
    code = WorkerSlots(settings, planned).run()
    if code:
        raise typer.Exit(code)


def _given(**values: Any) -> dict[str, Any]:
    """Without what was not given, so that the file and the environment count."""
    return {name: value for name, value in values.items() if value not in (None, {})}
