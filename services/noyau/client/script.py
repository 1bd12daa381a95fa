"""What the scripts of the OMERO.web menu share: submit a job as the user, follow it, say what came of it in a sentence.

Nothing here imports OMERO; a script passes the key of its session and gets texts back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from noyau.client.client import Client
from noyau.client.security import Security
from noyau.domain.errors import NoyauError
from noyau.domain.image import ImageRef
from noyau.domain.jobs import Event, EventKind, Job, JobResult, JobSpec, JobState, MeasureSpec
from noyau.domain.omero_uri import OmeroUri, is_omero, parse_omero
from noyau.domain.training_jobs import SuggestSpec

Say = Callable[[str], None]

DEFAULT_MODEL = "automatic"
"""First choice of the dialog: nuclei-3d for volumes, nuclei-2d for planes."""
_ASKING_SECONDS = 5.0
_MOST_LINKED = 50
_MOST_NAMED = 10


@dataclass(frozen=True)
class ServiceAt:
    """The service that the scripts of a server send their jobs to; written into them when they are installed.

    Attributes:
        address: `host:port` or `unix:/path`, as seen from the OMERO server.
        alias: the OMERO server's name in the settings of the service.
        ca: PEM file of the authority of the service's certificate; empty without TLS.
    """

    address: str
    alias: str
    ca: str = ""

    def client(self, key: str = "", timeout: float = 120.0) -> Client:
        """A client; with the key of a session, calls are that user's."""
        security = Security(ca=Path(self.ca) if self.ca else None)
        return Client(self.address, security=security, timeout=timeout, omero=(self.alias, key) if key else None)

    def models(self) -> list[str]:
        """What the dialog offers: `automatic`, and the models of the service where it answers."""
        try:
            with self.client(timeout=_ASKING_SECONDS) as client:
                return [DEFAULT_MODEL, *sorted({model.name for model in client.models()})]
        except NoyauError:
            return [DEFAULT_MODEL]

    def images(self, kind: str, ids: Sequence[int], channel: str = "") -> tuple[ImageRef, ...]:
        """References to what the user selected.

        Args:
            kind: as OMERO.web has it, e.g. `Image` or `Dataset`.
            ids: of the things.
            channel: index (from 0) or name; empty for the first.
        """
        chosen: int | str | None = int(channel) if channel.isascii() and channel.isdigit() else channel or None
        return tuple(ImageRef(str(OmeroUri(self.alias, kind.lower(), number)), chosen) for number in ids)


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes:
        message: one sentence for the user.
        results: URIs of the results in OMERO.
        images: URIs of the images that the job was about, the most interesting first.
        failed: the job did not succeed.
    """

    message: str
    results: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    failed: bool = False

    @property
    def link(self) -> dict[str, str] | None:
        """What OMERO.web makes a button of that shows the images; None where there are none.

        The address is relative to OMERO.web's own page, from which it is opened.
        """
        shown = [parse_omero(uri) for uri in self.images[:_MOST_LINKED] if is_omero(uri)]
        if not shown:
            return None
        href = "?show=" + "|".join(f"{uri.kind}-{uri.id}" for uri in shown)
        return {"type": "URL", "href": href, "title": "Show the images in OMERO.web"}


def submit_and_follow(service: ServiceAt, key: str, spec: JobSpec, say: Say, submitted: Say) -> Outcome:
    """Submits a job and follows it to its end.

    Args:
        service: where.
        key: of the script's session. OMERO ends it with the script; the job goes on by itself.
        spec: what is to be done.
        say: takes lines for the script's output.
        submitted: takes a sentence to show if the script is stopped from here on.
    """
    try:
        with service.client(key) as client:
            job = client.submit(spec)
            submitted(f"Job {job.id} goes on in the Noyau service; `noyau jobs watch {job.id}` shows it.")
            say(f"Job {job.id} was submitted to {service.address}.")
            return _outcome(client.wait(job.id, Teller(say)))
    except NoyauError as error:
        say(str(error))
        return Outcome(str(error), failed=True)


class Teller:
    """Turns the events of a job into lines for the script's output; of progress every tenth part.

    Args:
        say: takes the lines.
    """

    def __init__(self, say: Say) -> None:
        self._say = say
        self._told: tuple[str, int] = ("", 0)

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        if event.kind is EventKind.LOG:
            self._say(str(event.payload["message"]))
        elif event.kind is EventKind.STAGE:
            self._say(f"{event.time:%H:%M:%S} {event.payload['name']}")
        elif event.kind is EventKind.PROGRESS:
            self._tell_progress(event)

    def _tell_progress(self, event: Event) -> None:
        stage, done, total = str(event.payload["stage"]), int(event.payload["done"]), int(event.payload["total"])
        tenths = 10 * done // total if total > 0 else 0
        if tenths > 0 and (stage, tenths) != self._told:
            self._told = (stage, tenths)
            self._say(f"{event.time:%H:%M:%S} {stage}: {done:,} of {total:,} {event.payload['unit']}s")


def _outcome(job: Job) -> Outcome:
    result = job.result
    if job.state is not JobState.SUCCEEDED or result is None:
        why = f"{job.error.cause} {job.error.remedy}".strip() if job.error else "it was cancelled."
        return Outcome(f"Job {job.id} did not succeed: {why}", failed=True)
    if result.models:
        return Outcome(f"Trained {', '.join(result.models)}.", result.models)
    warnings = " ".join(result.warnings[:3])
    if isinstance(job.spec, SuggestSpec):
        return _suggested(result, warnings)
    verb = "Measured" if isinstance(job.spec, MeasureSpec) else "Found"
    made = f" with {result.model}" if result.model else ""
    message = f"{verb} {result.nuclei:,} nuclei in {_counted(len(result.images))}{made}."
    results = tuple(one.labels_uri for one in result.images if one.labels_uri)
    return Outcome(f"{message} {warnings}".strip(), results, tuple(one.uri for one in result.images))


def _suggested(result: JobResult, warnings: str) -> Outcome:
    images = tuple(uri for uri in result.files if is_omero(uri) and parse_omero(uri).kind == "image")
    named = ", ".join(parse_omero(uri).title for uri in images[:_MOST_NAMED])
    more = f" and {len(images) - _MOST_NAMED} more" if len(images) > _MOST_NAMED else ""
    message = f"{_counted(len(images))} to annotate next for {result.model}, the most useful first: {named}{more}."
    return Outcome(f"{message} {warnings}".strip(), images, images)


def _counted(images: int) -> str:
    return f"{images:,} image{'' if images == 1 else 's'}"
