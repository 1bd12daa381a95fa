"""NGFF multiscales metadata as values: parsing what others wrote and building what we write. Pure functions.

Source: OME-NGFF 0.4 and 0.5, "multiscales" and "coordinateTransformations".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from noyau.domain.axes import Axes
from noyau.domain.errors import InvalidInput

MICROMETRES = {
    "angstrom": 1e-4, "picometer": 1e-6, "nanometer": 1e-3, "micrometer": 1.0, "millimeter": 1e3,
    "centimeter": 1e4, "decimeter": 1e5, "meter": 1e6, "inch": 25400.0, "foot": 304800.0,
}  # fmt: skip
SHORT_UNITS = {
    "å": "angstrom", "pm": "picometer", "nm": "nanometer", "um": "micrometer", "µm": "micrometer",
    "μm": "micrometer", "micron": "micrometer", "microns": "micrometer", "mm": "millimeter", "cm": "centimeter",
    "m": "meter",
}  # fmt: skip
AXIS_TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


@dataclass(frozen=True)
class Level:
    """One resolution level: path below the group; scale and translation in the order and units of the axes."""

    path: str
    scale: tuple[float, ...]
    translation: tuple[float, ...]


@dataclass(frozen=True)
class Multiscale:
    """The first multiscale image of a group.

    Attributes:
        axes: stored order.
        units: unit per axis, None where it is not given.
        levels: finest first.
        name: may be empty.
    """

    axes: Axes
    units: tuple[str | None, ...]
    levels: tuple[Level, ...]
    name: str = ""

    def ordered(self, names: str) -> Multiscale:
        """The same multiscale with some of its axes, in another order (labels have no channels)."""
        at = [self.axes.index(name) for name in names]

        def pick(values: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(values[i] for i in at)

        levels = tuple(replace(v, scale=pick(v.scale), translation=pick(v.translation)) for v in self.levels)
        return replace(self, axes=Axes(names), units=pick(self.units), levels=levels)

    def spacing(self, axis: str, level: int = 0) -> float | None:
        """Micrometres per voxel along an axis; None where the unit is missing or not a length."""
        if axis not in self.axes:
            return None
        at = self.axes.index(axis)
        factor = micrometres(self.units[at])
        value = self.levels[level].scale[at]
        return None if factor is None or not (isfinite(value) and value > 0) else value * factor


def micrometres(unit: str | None) -> float | None:
    """Micrometres per unit; None for a missing or unknown unit."""
    if not unit:
        return None
    name = SHORT_UNITS.get(unit.strip().lower(), unit.strip().lower()).replace("metre", "meter")
    return MICROMETRES.get(name)


def parse_multiscale(ngff: Mapping[str, Any], where: str) -> Multiscale:
    """Reads the first entry of `multiscales`.

    Raises:
        InvalidInput: there is none, or it contradicts itself.
    """
    entries = ngff.get("multiscales")
    if not isinstance(entries, list) or not entries or not isinstance(entries[0], dict):
        raise InvalidInput(
            f"'{where}' is a Zarr group but holds no image (its metadata has no multiscales).",
            "Name an OME-Zarr image, a plate, a well or a field.",
        )
    entry = entries[0]
    names, units = _axes(entry, where)
    try:
        axes = Axes(names)
    except InvalidInput as error:
        raise InvalidInput(f"'{where}': {error.cause}", error.remedy) from error
    datasets = entry.get("datasets")
    if not isinstance(datasets, list) or not datasets:
        raise InvalidInput(f"The multiscales of '{where}' list no datasets.")
    outer = _transforms(entry.get("coordinateTransformations"), len(names), where)
    if not any(_has_scale(part) for part in (entry, *datasets)):
        # A scale of 1 that nobody wrote is no size in micrometres.
        units = (None,) * len(names)
    return Multiscale(
        axes, units, tuple(_level(d, outer, len(names), where) for d in datasets), str(entry.get("name") or "")
    )


def _axes(entry: Mapping[str, Any], where: str) -> tuple[str, tuple[str | None, ...]]:
    axes = entry.get("axes")
    if axes is None and str(entry.get("version", "")) in ("0.1", "0.2"):
        axes = list("tczyx")
    if not isinstance(axes, list) or not axes:
        raise InvalidInput(f"The multiscales of '{where}' name no axes.", "Axes are an order of t, c, z, y, x.")
    names, units = [], []
    for axis in axes:
        name = axis.get("name") if isinstance(axis, dict) else axis
        if not isinstance(name, str) or len(name) != 1:
            raise InvalidInput(
                f"Axis '{name}' of '{where}' is not one that Noyau knows.",
                "Axes are an order of t, c, z, y, x without repetition and with at least y and x.",
            )
        names.append(name.lower())
        units.append(axis.get("unit") if isinstance(axis, dict) else None)
    return "".join(names), tuple(u if isinstance(u, str) else None for u in units)


def _level(dataset: Any, outer: tuple[tuple[float, ...], tuple[float, ...]], ndim: int, where: str) -> Level:
    path = dataset.get("path") if isinstance(dataset, dict) else None
    if not isinstance(path, str) or not path or path.startswith("/") or ".." in path.split("/"):
        raise InvalidInput(f"The multiscales of '{where}' name a dataset path that is not below the image: {path!r}.")
    scale, move = _transforms(dataset.get("coordinateTransformations"), ndim, where)
    total = tuple(a * b for a, b in zip(scale, outer[0], strict=True))
    moved = tuple(m * s + o for m, s, o in zip(move, outer[0], outer[1], strict=True))
    return Level(path.strip("/"), total, moved)


def _has_scale(part: Any) -> bool:
    """Whether a dataset, or the multiscale as a whole, says how large a voxel is."""
    items = part.get("coordinateTransformations") if isinstance(part, dict) else None
    return any(isinstance(item, dict) and item.get("type") == "scale" for item in items or [])


def _transforms(items: Any, ndim: int, where: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    scale, move = [1.0] * ndim, [0.0] * ndim
    for item in items or []:
        kind = item.get("type") if isinstance(item, dict) else None
        values = item.get(kind) if isinstance(item, dict) and kind in ("scale", "translation") else None
        if values is None:
            continue
        try:
            numbers = [float(v) for v in values]
        except (TypeError, ValueError):
            numbers = []
        if len(numbers) != ndim:
            raise InvalidInput(f"The coordinate transformations of '{where}' do not fit its {ndim} axes.")
        if kind == "scale":
            scale = [a * b for a, b in zip(scale, numbers, strict=True)]
            move = [a * b for a, b in zip(move, numbers, strict=True)]
        else:
            move = [a + b for a, b in zip(move, numbers, strict=True)]
    return tuple(scale), tuple(move)


def build_multiscale(multiscale: Multiscale, version: str, method: str = "") -> dict[str, Any]:
    """The `multiscales` entry for a group of ours.

    Args:
        multiscale: what it says.
        version: NGFF version; 0.4 repeats it in every entry.
        method: how the pyramid was made.
    """
    axes = []
    for name, unit in zip(multiscale.axes.names, multiscale.units, strict=True):
        axes.append({"name": name, "type": AXIS_TYPES[name], **({"unit": unit} if unit else {})})
    datasets = []
    for level in multiscale.levels:
        transforms: list[dict[str, Any]] = [{"type": "scale", "scale": list(level.scale)}]
        if any(level.translation):
            transforms.append({"type": "translation", "translation": list(level.translation)})
        datasets.append({"path": level.path, "coordinateTransformations": transforms})
    entry: dict[str, Any] = {"name": multiscale.name, "axes": axes, "datasets": datasets}
    if version == "0.4":
        entry["version"] = version
    if method:
        entry["type"] = method
    return entry
