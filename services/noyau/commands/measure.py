"""`noyau measure`: measure labels that exist."""

from __future__ import annotations

from typing import Annotated

import typer

from noyau.commands import options
from noyau.commands.credentials import NOBODY, Credentials, with_credentials
from noyau.commands.exits import told
from noyau.commands.running import Run, run_job
from noyau.domain.image import ImageRef
from noyau.domain.jobs import MeasureSpec


@with_credentials
def measure(
    images: Annotated[list[str], typer.Argument(help="OME-Zarr images with labels, or omero://... with ROIs.")],
    labels: Annotated[str, typer.Option(help="Name of the label group.")] = "nuclei",
    channel: Annotated[
        list[str] | None, typer.Option(help="Channel to measure, by index or name; may be repeated. Default: all.")
    ] = None,
    output: Annotated[str | None, typer.Option(help="Write here instead of into the image.")] = None,
    time: Annotated[str | None, typer.Option(metavar="T[-T]", help="Time points, e.g. 3 or 0-9. Default: all.")] = None,
    level: Annotated[int, typer.Option(help="Resolution level; 0 is the finest.")] = 0,
    voxel_size: options.VoxelSizeText = None,
    overwrite: options.Overwrite = False,
    server: options.Server = None,
    local: options.Local = False,
    credentials: Credentials = NOBODY,
    priority: Annotated[int, typer.Option(help="Higher runs first within its group.")] = 0,
    group: Annotated[str, typer.Option(help="Group that the job is counted for.")] = "",
    key: Annotated[str, typer.Option(help="Idempotency key: the same key again gives the same job.")] = "",
    detach: Annotated[bool, typer.Option("--detach", help="Print the job's id and do not wait for it.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure existing labels: morphometry in micrometres, and intensities per channel."""
    with told(json):
        options.refuse_detached_private(detach, local)
        times = options.parse_time(time)
        chosen = tuple(found for text in channel or () if (found := options.parse_channel(text)) is not None)
        spec = MeasureSpec(
            images=tuple(ImageRef(options.absolute(uri), None, times, level) for uri in images),
            labels=labels,
            channels=chosen,
            output=None if output is None else options.absolute(output),
            voxel_size=options.parse_voxel_size(voxel_size),
            overwrite=overwrite,
        )
    run_job(spec, Run(server, local, credentials, json, quiet, detach, priority, group, key))
