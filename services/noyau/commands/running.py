"""Runs one job from a command: submit, show progress, cancel on Ctrl-C, tell what came of it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import typer

from noyau.commands.connecting import connected, explain_absence
from noyau.commands.credentials import NOBODY, Credentials
from noyau.commands.exits import PARTIAL, told
from noyau.commands.progress import ProgressView
from noyau.commands.showing import plain, show_json, show_line, show_table
from noyau.domain.errors import InvalidInput, NoyauError
from noyau.domain.jobs import Job, JobResult, JobSpec, MeasureSpec, SegmentSpec, inputs_of
from noyau.domain.omero_uri import is_omero, parse_omero


@dataclass(frozen=True)
class Run:
    """How a job is to be run, as the options say."""

    server: str | None = None
    local: bool = False
    credentials: Credentials = NOBODY
    json: bool = False
    quiet: bool = False
    detach: bool = False
    priority: int = 0
    group: str = ""
    key: str = ""


def run_job(spec: JobSpec, run: Run) -> None:
    """Submits the job and, unless detached, watches it to its end and shows the result.

    Raises:
        typer.Exit: with the code of `noyau.commands.exits` where the job did not end well.
    """
    with told(run.json):
        job = _run(spec, run)
        if run.detach:
            show_json({"job": job}) if run.json else show_line(job.id)
            return
        show_job_result(job, run.json)
        wanted = len(spec.images) if isinstance(spec, SegmentSpec | MeasureSpec) else 0
        if job.result is not None and len(job.result.images) < wanted:
            raise typer.Exit(PARTIAL)


def _run(spec: JobSpec, run: Run) -> Job:
    with connected(run.server, run.local, run.credentials, omero=_omero_alias(spec)) as client:
        try:
            job = client.submit(spec, group=run.group, priority=run.priority, idempotency_key=run.key)
        except NoyauError as error:
            raise explain_absence(error, "" if run.local else run.server) from error
        if run.detach:
            return job
        try:
            with ProgressView(enabled=not run.quiet) as view:
                job = client.wait(job.id, view.event)
        except KeyboardInterrupt:
            typer.echo("noyau: cancelling the job ...", err=True)
            # The job may have ended in this very moment.
            with suppress(NoyauError):
                client.cancel(job.id)
            raise
        from noyau.client.client import result_of

        result_of(job)
        return job


def _omero_alias(spec: JobSpec) -> str:
    """The OMERO server whose images a job names; empty where it names none."""
    aliases = sorted({parse_omero(uri).alias for uri in inputs_of(spec) if is_omero(uri)})
    if len(aliases) > 1:
        raise InvalidInput(
            f"The job names images of several OMERO servers: {', '.join(aliases)}.", "Send one job each."
        )
    return "".join(aliases)


def show_job_result(job: Job, json: bool) -> None:
    """What a finished job produced: where the results are, and how many nuclei of which size."""
    if json:
        show_json({"job": plain(job)})
        return
    result = job.result
    if result is None:
        show_line(f"Job {job.id} is {job.state.value}.")
        return
    if result.models or result.files:
        _show_products(result)
        return
    size, unit = _size_of(result)
    columns = ["image", "nuclei", f"median {size} ({unit})", "labels", "table", "overview"]
    rows = [
        (
            image.uri,
            image.nuclei,
            image.median_volume_um3,
            *(_beside(image.uri, uri) for uri in (image.labels_uri, image.table_uri, image.overview_uri)),
        )
        for image in result.images
    ]
    show_table(columns, rows)
    _warn(result)
    model = f" with {result.model}" if result.model else ""
    show_line(
        f"{_count(result.nuclei, 'nucleus', 'nuclei')} in {_count(len(result.images), 'image', 'images')}{model}, "
        f"median {size} {result.median_volume_um3:.4g} {unit}"
    )


def _size_of(result: JobResult) -> tuple[str, str]:
    """What the sizes of a result are, and their unit: a plane has areas."""
    flat = [image.flat for image in result.images]
    if flat and all(flat):
        return "area", "µm²"
    return ("size", "µm³ or µm²") if any(flat) else ("volume", "µm³")


def _show_products(result: JobResult) -> None:
    """What a job made that is no result of one image: models, pictures, records."""
    for model in result.models:
        show_line(f"model {model}")
    for uri in result.files:
        show_line(uri)
    _warn(result)


def _warn(result: JobResult) -> None:
    for warning in result.warnings:
        typer.echo(f"warning: {warning}", err=True)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _beside(image: str, uri: str) -> str:
    """The place of a result relative to its image where it lies inside, to keep the table readable."""
    prefix = image.rstrip("/") + "/"
    return uri.removeprefix(prefix) if uri.startswith(prefix) else uri
