"""Which prediction belongs to which truth: by name, where there is more than one of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from noyau.domain.access import AccessPolicy
from noyau.domain.errors import InvalidInput, NotFound

SUFFIXES = (".ome.zarr", ".zarr", ".ome.tiff", ".ome.tif", ".tiff", ".tif", ".npz", ".npy")
ZARR_FILES = ("zarr.json", ".zgroup", ".zattrs", ".zarray")


@dataclass(frozen=True)
class Pair:
    """Labels to compare: the image's name and where both sides are."""

    name: str
    prediction: str
    truth: str


@dataclass(frozen=True)
class Pairing:
    """Pairs in the order of the predictions' names, and truths that have no prediction."""

    pairs: tuple[Pair, ...]
    unused: tuple[str, ...]


def pair_by_name(predictions: Sequence[str], truths: Sequence[str], access: AccessPolicy) -> Pairing:
    """Pairs predictions with truths.

    Args:
        predictions, truths: files, OME-Zarr images, label groups or folders of them. One file each is a pair
            whatever the names; otherwise names must agree (without folder, suffix and `labels/...`).
        access: where they may live.

    Raises:
        NotFound: a place does not exist, or a folder holds no labels.
        InvalidInput: a prediction has no truth, or a name occurs twice.
    """
    ours, theirs = _expand(predictions, access), _expand(truths, access)
    if len(ours) == len(theirs) == 1:
        return Pairing((Pair(image_name(ours[0]), ours[0], theirs[0]),), ())
    found, known = _by_name(ours, "predictions"), _by_name(theirs, "truths")
    lost = sorted(set(found) - set(known))
    if lost:
        raise InvalidInput(
            f"There is no truth for {len(lost)} of {len(found)} predictions, e.g. '{lost[0]}'.",
            "A prediction and its truth need the same name, e.g. a.ome.zarr and a.npz.",
        )
    pairs = tuple(Pair(name, found[name], known[name]) for name in sorted(found))
    return Pairing(pairs, tuple(sorted(set(known) - set(found))))


def image_name(uri: str) -> str:
    """Name of the image that labels belong to: `/a/b.ome.zarr/labels/nuclei` -> `b`."""
    name = uri.rstrip("/").split("/labels/")[0].rsplit("/", 1)[-1]
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def _expand(uris: Sequence[str], access: AccessPolicy) -> list[str]:
    places: list[str] = []
    for uri in uris:
        place = access.check(uri)
        folder = Path(place)
        if "://" in place or not folder.is_dir() or any((folder / name).exists() for name in ZARR_FILES):
            places.append(place)
            continue
        inside = sorted(str(p) for p in folder.iterdir() if p.name.lower().endswith(SUFFIXES))
        if not inside:
            raise NotFound(f"The folder '{uri}' holds no labels ({', '.join(SUFFIXES)}).")
        places += inside
    if not places:
        raise InvalidInput("There is nothing to evaluate.", "Name predicted and true labels.")
    return places


def _by_name(places: Sequence[str], what: str) -> dict[str, str]:
    named: dict[str, str] = {}
    for place in places:
        name = image_name(place)
        if name in named:
            raise InvalidInput(f"Two {what} have the name '{name}': '{named[name]}' and '{place}'.")
        named[name] = place
    return named
