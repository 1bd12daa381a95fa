"""`noyau segment`: find, outline and measure nuclei."""

from __future__ import annotations

from typing import Annotated, get_args

import typer

from noyau.commands import options
from noyau.commands.credentials import NOBODY, Credentials, with_credentials
from noyau.commands.exits import told
from noyau.commands.running import Run, run_job
from noyau.domain.image import ImageRef
from noyau.domain.jobs import LabelImage, Rois, SegmentSpec


@with_credentials
def segment(
    images: options.Images,
    model: options.ModelName = None,
    labels: Annotated[str, typer.Option(help="Name of the label group that is written.")] = "nuclei",
    output: Annotated[
        str | None, typer.Option(help="Write here instead of into the image: an OME-Zarr, or a folder for many images.")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Channel, by index or name. Default: the first.")] = None,
    time: Annotated[str | None, typer.Option(metavar="T[-T]", help="Time points, e.g. 3 or 0-9. Default: all.")] = None,
    level: Annotated[int, typer.Option(help="Resolution level; 0 is the finest.")] = 0,
    voxel_size: options.VoxelSizeText = None,
    diameter: options.DiameterText = None,
    tile: Annotated[str | None, typer.Option(metavar="[Z,]Y,X", help="Tile in voxels of the model's grid.")] = None,
    batch: Annotated[int | None, typer.Option(help="Tiles per forward pass.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    backend: Annotated[str, typer.Option(help="auto, torch or openvino.")] = "auto",
    foreground: Annotated[float | None, typer.Option(help="Foreground probability threshold, 0 to 1.")] = None,
    min_volume: Annotated[float | None, typer.Option(help="Smallest nucleus, cubic (2D: square) micrometres.")] = None,
    threads: Annotated[int | None, typer.Option(help="Reading and decoding threads; never changes the result.")] = None,
    no_measure: Annotated[bool, typer.Option("--no-measure", help="Leave out the table of measurements.")] = False,
    fill_missing: Annotated[bool, typer.Option("--fill-missing", help="Take missing chunks as zero.")] = False,
    rois: options.RoisText = "auto",
    label_image: options.LabelImageText = "auto",
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
    """Find, outline and measure nuclei; results go into labels/, tables/ and noyau/ of each image, or to OMERO."""
    with told(json):
        options.refuse_detached_private(detach, local)
        chosen, times = options.parse_channel(channel), options.parse_time(time)
        spec = SegmentSpec(
            images=tuple(ImageRef(options.absolute(uri), chosen, times, level) for uri in images),
            model=model,
            labels=labels,
            output=None if output is None else options.absolute(output),
            voxel_size=options.parse_voxel_size(voxel_size),
            diameter=options.parse_diameter(diameter),
            fit_diameter=options.parse_fit_diameter(diameter),
            tile=options.parse_tile(tile),
            batch=batch,
            device=device,
            backend=backend,
            foreground=foreground,
            min_volume=min_volume,
            measure=not no_measure,
            overwrite=overwrite,
            workers=threads,
            fill_missing=fill_missing,
            rois=options.parse_word("--rois", rois, get_args(Rois)),
            label_image=options.parse_word("--label-image", label_image, get_args(LabelImage)),
        )
    run_job(spec, Run(server, local, credentials, json, quiet, detach, priority, group, key))
