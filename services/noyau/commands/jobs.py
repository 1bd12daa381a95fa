"""`noyau jobs`: what the service has done, does and will do."""

from __future__ import annotations

import json as json_module
from typing import Annotated, Any

import typer

from noyau.commands import options
from noyau.commands.connecting import connected, explain_absence
from noyau.commands.credentials import NOBODY, Credentials, with_credentials
from noyau.commands.exits import told
from noyau.commands.progress import ProgressView
from noyau.commands.running import show_job_result
from noyau.commands.showing import plain, show_json, show_line, show_table
from noyau.domain.errors import InvalidInput, NoyauError
from noyau.domain.jobs import Job, JobState, inputs_of

JobId = Annotated[str, typer.Argument(help="Identifier of the job.")]
LARGEST_PAGE = 1000


@with_credentials
def list_jobs(
    state: Annotated[
        list[str] | None, typer.Option(help="queued, running, succeeded, failed or cancelled; may be repeated.")
    ] = None,
    owner: Annotated[str, typer.Option(help="Only jobs of this owner.")] = "",
    group: Annotated[str, typer.Option(help="Only jobs of this group.")] = "",
    task: Annotated[str, typer.Option(help="Only jobs of this task: segment or measure.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Most jobs to list.")] = 50,
    server: options.Server = None,
    credentials: Credentials = NOBODY,
    json: options.Json = False,
) -> None:
    """List jobs, newest first."""
    with told(json), connected(server, False, credentials) as client:
        states = tuple(_state(name) for name in state or ())
        found: list[Job] = []
        token = ""
        try:
            while len(found) < limit:
                size = min(limit - len(found), LARGEST_PAGE)
                page = client.list(states=states, owner=owner, group=group, task=task, page_size=size, page_token=token)
                found += page.jobs
                token = page.next_token
                if not token:
                    break
        except NoyauError as error:
            raise explain_absence(error, server) from error
        if json:
            show_json({"jobs": found})
            return
        show_table(
            ["id", "task", "state", "images", "nuclei", "created", "owner", "group"], [_row(job) for job in found]
        )


@with_credentials
def show_job(
    job_id: JobId, server: options.Server = None, credentials: Credentials = NOBODY, json: options.Json = False
) -> None:
    """Show one job: state, result or error."""
    with told(json), connected(server, False, credentials) as client:
        job = client.get(job_id)
        if json:
            show_json({"job": job})
            return
        rows: list[tuple[str, Any]] = [
            ("task", task_of(job)),
            ("state", job.state.value),
            ("priority", str(job.priority)),
            ("attempts", str(job.attempts)),
            ("created", _time(job.created)),
            ("started", _time(job.started)),
            ("finished", _time(job.finished)),
            *(("input", uri) for uri in inputs_of(job.spec)),
        ]
        if job.error is not None:
            rows.append(("error", f"{job.error.kind}: {job.error.cause} {job.error.remedy}".strip()))
        show_table(["job", job.id], rows)
        if job.result is not None:
            show_job_result(job, json=False)


@with_credentials
def watch_job(
    job_id: JobId,
    after: Annotated[int, typer.Option(min=0, help="Only events after this sequence number.")] = 0,
    server: options.Server = None,
    credentials: Credentials = NOBODY,
    json: Annotated[bool, typer.Option("--json", help="Write one JSON document per event and line.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Follow a job to its end, also across a restart of the service."""
    with told(), connected(server, False, credentials) as client:
        if json:
            for event in client.watch(job_id, after=after):
                show_line(json_module.dumps(plain(event), allow_nan=False))
            return
        with ProgressView(enabled=not quiet) as view:
            for event in client.watch(job_id, after=after):
                view.event(event)
        from noyau.client.client import result_of

        job = client.get(job_id)
        result_of(job)
        show_job_result(job, json=False)


@with_credentials
def cancel_job(
    job_id: JobId, server: options.Server = None, credentials: Credentials = NOBODY, json: options.Json = False
) -> None:
    """Stop a job, waiting or running."""
    with told(json), connected(server, False, credentials) as client:
        job = client.cancel(job_id)
        if json:
            show_json({"job": job})
            return
        ending = "" if job.state.is_final else "; it was asked to stop"
        show_line(f"Job {job.id} is {job.state.value}{ending}.")


def task_of(job: Job) -> str:
    """`segment`, `measure`, ..."""
    return type(job.spec).__name__.removesuffix("Spec").lower()


def _row(job: Job) -> tuple[Any, ...]:
    nuclei = job.result.nuclei if job.result is not None else ""
    created = _time(job.created)
    return (job.id, task_of(job), job.state.value, len(inputs_of(job.spec)), nuclei, created, job.owner, job.group)


def _time(time: Any) -> str:
    return "" if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _state(name: str) -> JobState:
    try:
        return JobState(name.upper())
    except ValueError as error:
        known = ", ".join(state.value.lower() for state in JobState)
        raise InvalidInput(f"'{name}' is no state of a job.", f"Known are {known}.") from error
