"""`dataset.json`: what the people who made a dataset say about it.

The file lies in the folder of the pairs or in a folder above, up to the source that the user named. Unknown names are
refused, so that a typing mistake is not silently ignored.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from noyau.domain.errors import InvalidInput, LimitExceeded
from noyau.domain.geometry import VoxelSize
from noyau.training.dataset import Kind

NAME = "dataset.json"
_LARGEST_BYTES = 2**20
_KINDS: tuple[Kind, ...] = ("labels", "points", "boxes")


@dataclass(frozen=True)
class Facts:
    """What the user, or a `dataset.json`, says of pairs.

    Attributes:
        name, licence, modality, source, authors, description: for the record; empty where nobody says.
        voxel_size: micrometres z/y/x, where the images do not say.
        specimen: regular expression on the name without folder; its first group (or the whole match) is the specimen.
        labels: label group of OME-Zarr images.
        ignore: value of the labels that means "unknown"; -1 always does.
        kind: `points` and `boxes` take the labels as marks of centres or for their boxes; None decides by the data.
        radius: typical radius of a nucleus in voxels of the last axis, for points; None estimates it.
        complete: every nucleus of the image has its point, so that what is far from all points is background.
        components: masks of one value are cut into connected components.
    """

    name: str = ""
    licence: str = ""
    modality: str = ""
    source: str = ""
    authors: str = ""
    description: str = ""
    voxel_size: tuple[float, float, float] | None = None
    specimen: str | None = None
    labels: str | None = None
    ignore: int | None = None
    kind: Kind | None = None
    radius: float | None = None
    complete: bool = False
    components: bool = False

    def __post_init__(self) -> None:
        if self.voxel_size is not None:
            VoxelSize(*self.voxel_size)
        if self.kind is not None and self.kind not in _KINDS:
            raise InvalidInput(f"There is no annotation of kind '{self.kind}'.", f"Known are: {', '.join(_KINDS)}.")
        if self.radius is not None and not self.radius > 0:
            raise InvalidInput(f"The radius {self.radius} of a nucleus is not positive.")
        if self.specimen is not None:
            try:
                re.compile(self.specimen)
            except re.error as error:
                raise InvalidInput(f"'{self.specimen}' is no regular expression: {error}.") from error

    def over(self, other: Facts) -> Facts:
        """These facts, and those of `other` where these say nothing."""
        blank = Facts()
        said = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(other, **{k: v for k, v in said.items() if v != getattr(blank, k)})


def read_facts(path: Path) -> Facts:
    """Reads one `dataset.json`.

    Raises:
        InvalidInput: not JSON, an unknown name or a value of a wrong type; names it.
        LimitExceeded: larger than a megabyte.
    """
    if path.stat().st_size > _LARGEST_BYTES:
        raise LimitExceeded(f"'{path}' is larger than a megabyte.")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput(f"'{path}' cannot be read as JSON: {error}.") from error
    known = {f.name: f for f in fields(Facts)}
    if not isinstance(document, dict) or (set(document) - set(known)):
        wrong = ", ".join(sorted(map(str, set(document) - set(known)))) if isinstance(document, dict) else "no object"
        raise InvalidInput(f"'{path}' holds unknown names: {wrong}.", f"Known are: {', '.join(known)}.")
    return Facts(**{name: _value(name, value, path) for name, value in document.items()})


def _value(name: str, value: Any, path: Path) -> Any:
    """A value of the right type for a field."""
    numbers = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        "voxel_size": isinstance(value, list) and len(value) == 3 and all(isinstance(v, int | float) for v in value),
        "ignore": isinstance(value, int) and not isinstance(value, bool),
        "radius": numbers,
        "complete": isinstance(value, bool),
        "components": isinstance(value, bool),
    }
    if not fits.get(name, isinstance(value, str)):
        raise InvalidInput(f"'{name}' in '{path}' cannot be {value!r}.")
    return tuple(float(v) for v in value) if name == "voxel_size" else value
