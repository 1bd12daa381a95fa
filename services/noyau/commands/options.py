"""Options that several commands share, and the values they are written as."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import Index3, VoxelSize

Json = Annotated[bool, typer.Option("--json", help="Write one JSON document to standard output.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there under the same name.")]
Server = Annotated[
    str | None,
    typer.Option("--server", envvar="NOYAU_SERVER", help="Address of a service: host:port or unix:/path."),
]
Local = Annotated[bool, typer.Option("--local", help="Start a private service for this command only.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on standard error.")]
VoxelSizeText = Annotated[
    str | None,
    typer.Option("--voxel-size", metavar="Z,Y,X", help="Voxel size in micrometres; y,x is enough for a 2D image."),
]

AUTO = "auto"
"""What is found out from the image."""

BY_MODEL = "model"
"""What is as the model and the voxel size say."""


Images = Annotated[
    list[str],
    typer.Argument(
        help="OME-Zarr images, plates, wells, fields: paths or URIs. Or what is in OMERO: omero://alias/image/1, "
        "dataset/5, project, plate, well, screen; with ?c=DAPI&t=0-4&level=0 to choose."
    ),
]
ModelName = Annotated[
    str | None,
    typer.Option("--model", help="Model name or name@version. Default: nuclei-3d for volumes, nuclei-2d for planes."),
]
DiameterText = Annotated[
    str | None,
    typer.Option(
        "--diameter",
        metavar="UM|auto|model",
        help="Expected nucleus diameter, micrometres. Default: auto, which asks each image; model: by voxel size only.",
    ),
]
RoisText = Annotated[
    str, typer.Option("--rois", help="ROIs in OMERO: auto (masks within the budget), masks, polygons, points or none.")
]
LabelImageText = Annotated[
    str,
    typer.Option(
        "--label-image",
        help="Label image in OMERO: auto (where ROIs do not show every pixel), always, never, or zarr "
        "(into the OME-Zarr behind the image).",
    ),
]


def parse_voxel_size(text: str | None) -> VoxelSize | None:
    """`z,y,x` or, for a 2D image, `y,x` in micrometres (z is then 1)."""
    if text is None:
        return None
    values = _numbers(text, "voxel size", "1.75,0.8,0.8")
    return VoxelSize(*((1.0, *values) if len(values) == 2 else values))


def parse_tile(text: str | None) -> Index3 | None:
    """`z,y,x` or, for a 2D image, `y,x` in voxels (z is then 1)."""
    if text is None:
        return None
    values = _numbers(text, "tile", "32,64,64")
    if any(not value.is_integer() for value in values):
        raise InvalidInput(f"The tile '{text}' is not made of whole numbers.", "Write for example 32,64,64.")
    z, y, x = (int(value) for value in ((1.0, *values) if len(values) == 2 else values))
    return (z, y, x)


def parse_diameter(text: str | None) -> float | None:
    """Micrometres; None for the words `auto` and `model` and where nothing is given."""
    if text in (None, AUTO, BY_MODEL):
        return None
    try:
        return float(text)
    except ValueError:
        raise InvalidInput(f"The diameter '{text}' is no length.", "Give micrometres, auto, or model.") from None


def parse_fit_diameter(text: str | None) -> bool | None:
    """Whether to find the diameter out: yes for `auto`, no for `model`, else what the service does by itself."""
    return {AUTO: True, BY_MODEL: False}.get(text or "")


def parse_channel(text: str | None) -> int | str | None:
    """An index where it is written in digits, else a name."""
    if text is None:
        return None
    return int(text) if text.isascii() and text.isdigit() else text


def parse_time(text: str | None) -> tuple[int, int] | None:
    """`3` or `0-9`, first and last included."""
    if text is None:
        return None
    first, _, last = text.partition("-")
    try:
        return (int(first), int(last or first))
    except ValueError as error:
        raise InvalidInput(f"'{text}' names no time points.", "Write one, as in 3, or a range, as in 0-9.") from error


def parse_word(option: str, text: str, known: tuple[str, ...]) -> Any:
    """One of a few words."""
    if text not in known:
        raise InvalidInput(f"{option} cannot be '{text}'.", f"Choose {', '.join(known)}.")
    return text


def absolute(uri: str) -> str:
    """Local paths as absolute ones, because the service has a working folder of its own; URIs as they are."""
    return uri if "://" in uri else str(Path(uri).expanduser().absolute())


def _numbers(text: str, what: str, example: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InvalidInput(f"The {what} '{text}' is not made of numbers.", f"Write for example {example}.") from error
    if len(values) not in (2, 3):
        raise InvalidInput(f"The {what} '{text}' has {len(values)} numbers.", f"Write for example {example}.")
    return values


def refuse_detached_private(detach: bool, local: bool) -> None:
    """A private service ends with its command, and with it the job."""
    if detach and local:
        raise InvalidInput("--detach and --local exclude each other.", "Start a service with `noyau serve`.")
