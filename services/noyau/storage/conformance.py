"""Checks what we are about to write with ome-zarr's own rules, so that other tools can open it."""

from __future__ import annotations

from typing import Any

from noyau.domain.errors import InternalError


def require_conformant(entry: dict[str, Any], version: str) -> None:
    """Refuses a `multiscales` entry that ome-zarr would not accept.

    Args:
        entry: built by `build_multiscale`.
        version: NGFF version.

    Raises:
        InternalError: we built something that does not conform.
    """
    # Imported here because it takes a second, and readers do not need it.
    from ome_zarr.axes import Axes as OmeAxes
    from ome_zarr.format import format_from_version

    rules = format_from_version(version)
    transforms = [dataset["coordinateTransformations"] for dataset in entry["datasets"]]
    try:
        OmeAxes(entry["axes"], fmt=rules).validate()
        rules.validate_coordinate_transformations(len(entry["axes"]), len(transforms), transforms)
    except (ValueError, AssertionError) as error:
        raise InternalError(f"The metadata to be written do not conform to NGFF {version}: {error}.") from error
