"""Which files belong together: npz pairs, image and label folders, `name_mask` files, OME-Zarr images."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from noyau.domain.access import AccessPolicy
from noyau.domain.errors import LimitExceeded, NotFound, NoyauError
from noyau.training.data.naming import image_stem, is_label_folder, is_picture_folder, label_stem, stem_of, text_of
from noyau.training.data.values import Place, Problem

TIFF = (".tif", ".tiff")
ANNOTATIONS = (".csv", ".geojson")
_UNREAD = (".png", ".jpg", ".jpeg", ".bmp", ".npy", ".czi", ".lif", ".nd2", ".h5", ".hdf5")
_ZARR_FILES = ("zarr.json", ".zgroup", ".zattrs")
_DEEPEST = 5
_MOST_PAIRS = 100_000


@dataclass
class _Found:
    """What a search has come across so far."""

    access: AccessPolicy
    members: Callable[[str], Sequence[tuple[str, int]]]
    labelled: bool
    places: list[Place] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)

    def add(self, folder: str, stem: str, image: str, labels: str = "", time: int | None = None) -> None:
        name = f"{text_of(Path(folder).name)}/{text_of(stem)}" if folder else text_of(stem)
        if len(self.places) >= _MOST_PAIRS:
            raise LimitExceeded(f"The dataset has more than {_MOST_PAIRS:,} pairs.")
        self.places.append(Place(name, folder, image, labels, time))

    def bad(self, path: str, kind: str, cause: str, remedy: str = "") -> None:
        self.problems.append(Problem(text_of(path), kind, "error", cause, remedy))


def find_places(
    sources: Sequence[str],
    access: AccessPolicy,
    members: Callable[[str], Sequence[tuple[str, int]]] = lambda uri: ((uri, 1),),
    labelled: bool = True,
) -> tuple[list[Place], list[Problem]]:
    """All pairs of files, folders, glob patterns and URIs, sorted by source and name, without repetition.

    Args:
        sources: npz, TIFF and OME-Zarr paths, folders of them, glob patterns, remote OME-Zarr images.
        access: where files may live; a file elsewhere is a problem, a source elsewhere an error.
        members: images of an OME-Zarr and their numbers of time points.
        labelled: images without labels are problems.

    Returns:
        the pairs; and a problem for each file that has no partner or may not be read.

    Raises:
        NotFound: a source does not exist, or holds no pairs.
        PermissionRefused: a source lies outside the allowed places.
    """
    found = _Found(access, members, labelled)
    for source in sources:
        before = len(found.places) + len(found.problems)
        # What an earlier source led to already is no source without pairs.
        new = [place for place in _expand(source, access) if place not in found.seen]
        for place in new:
            _visit(place, found, 0)
        if new and len(found.places) + len(found.problems) == before:
            raise _nothing(source, found.unread)
    return _unique(found.places), found.problems


def _nothing(source: str, unread: set[str]) -> NotFound:
    known = "npz files, TIFF images with masks (images/ and masks/, or name_mask.tif), or OME-Zarr with labels"
    if unread:
        return NotFound(
            f"There is no pair at '{source}': {', '.join(sorted(unread))} files are not read.",
            f"Noyau trains on {known}: convert them, e.g. to TIFF.",
        )
    return NotFound(f"There is no pair of image and labels at '{source}'.", f"It may hold {known}.")


def _expand(source: str, access: AccessPolicy) -> list[str]:
    """A place that exists, though its name looks like a pattern, is meant itself."""
    if "://" in source or Path(source).expanduser().exists() or not glob.has_magic(source):
        return [access.check(source)]
    pattern = Path(source).expanduser().absolute()
    matching = Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor)))
    names = sorted(str(p) for p in matching if not p.name.startswith("."))
    if not names:
        raise NotFound(f"No file is found at '{source}'.", "Give a folder, a file or a glob pattern.")
    return [access.check(name) for name in names]


def _visit(place: str, found: _Found, depth: int) -> None:
    """Adds what is at one checked place."""
    if place in found.seen:
        return
    found.seen.add(place)
    path = Path(place)
    if "://" in place or _is_zarr(path):
        _add_zarr(place, found)
    elif path.is_dir():
        _visit_folder(path, found, depth)
    elif path.suffix.lower() == ".npz":
        found.add(str(path.parent), path.stem, place)
    elif path.suffix.lower() in TIFF:
        _pair_files([p for p in _entries(path.parent, found) if p.is_file()], path.parent, found, only=path)
    else:
        found.bad(
            place, "type", f"'{text_of(place)}' is of a type that is not read.", "Noyau reads npz, TIFF and OME-Zarr."
        )


def _visit_folder(folder: Path, found: _Found, depth: int) -> None:
    entries = _entries(folder, found)
    folders = [p for p in entries if p.is_dir() and not _is_zarr(p)]
    for path in entries:
        if _is_zarr(path) or path.suffix.lower() == ".npz":
            _visit(str(path), found, depth)
    found.unread |= {p.suffix.lower() for p in entries if p.suffix.lower() in _UNREAD}
    pictures = [p for p in folders if is_picture_folder(p.name)]
    masks = [p for p in folders if is_label_folder(p.name)]
    if pictures and masks:
        _pair_folders(pictures[0], masks[0], folder, found)
        folders = [p for p in folders if p not in (pictures[0], masks[0])]
    _pair_files([p for p in entries if p.is_file()], folder, found)
    for path in folders if depth < _DEEPEST else ():
        _visit(str(path), found, depth + 1)


def _pair_folders(pictures: Path, masks: Path, folder: Path, found: _Found) -> None:
    """`images/a.tif` with `masks/a.tif`, `masks/a_mask.tif`, `masks/a.csv`, ..."""
    labels: dict[str, Path] = {}
    for path in _entries(masks, found):
        found.unread |= {path.suffix.lower()} & set(_UNREAD)
        if path.suffix.lower() in TIFF + ANNOTATIONS:
            labels.setdefault(label_stem(path) or stem_of(path), path)
    found.seen |= {str(pictures), str(masks)}
    for path in _entries(pictures, found):
        found.unread |= {path.suffix.lower()} & set(_UNREAD)
        if path.suffix.lower() not in TIFF:
            continue
        partner = labels.pop(stem_of(path), None) or labels.pop(image_stem(path), None)
        _add_or_complain(path, partner, folder, found)
    for path in labels.values():
        found.bad(f"{folder.name}/{path.stem}", "orphan", f"'{text_of(path)}' belongs to no image.")


def _pair_files(files: Sequence[Path], folder: Path, found: _Found, only: Path | None = None) -> None:
    """`a.tif` with `a_mask.tif` (or `a_labels`, `a_cp_masks`, ...) or `a.csv` in one folder."""
    tiffs = [p for p in files if p.suffix.lower() in TIFF]
    labels = {label_stem(p): p for p in tiffs if label_stem(p)}
    notes = {label_stem(p) or stem_of(p): p for p in files if p.suffix.lower() in ANNOTATIONS}
    images = [p for p in tiffs if not label_stem(p)]
    known = {name for p in images for name in (stem_of(p), image_stem(p))}
    for path in images if only is None else [p for p in images if p == only]:
        names = (stem_of(path), image_stem(path))
        partner = next((table[n] for table in (labels, notes) for n in names if n in table), None)
        _add_or_complain(path, partner, folder, found)
    for name, path in labels.items():
        if name not in known and only in (None, path):
            found.bad(f"{folder.name}/{path.stem}", "orphan", f"'{text_of(path)}' belongs to no image.")


def _add_or_complain(image: Path, partner: Path | None, folder: Path, found: _Found) -> None:
    if partner is None and found.labelled:
        name = f"{text_of(folder.name)}/{stem_of(image)}"
        remedy = f"Name its labels masks/{text_of(image.name)} or {stem_of(image)}_mask.tif."
        found.bad(name, "unlabelled", f"The image '{text_of(image)}' has no labels.", remedy)
        return
    found.add(str(folder), image_stem(image), str(image), str(partner or ""))


def _add_zarr(place: str, found: _Found) -> None:
    local = "://" not in place
    parent, name = (str(Path(place).parent), Path(place).name) if local else ("", place.rstrip("/").rsplit("/", 1)[-1])
    stem = name.removesuffix(".zarr").removesuffix(".ome")
    try:
        members = found.members(place)
    except NoyauError as error:
        found.bad(f"{Path(parent).name}/{stem}".lstrip("/"), "unreadable", error.cause, error.remedy)
        return
    for uri, times in members:
        field_of_plate = uri.removeprefix(place).strip("/").replace("/", "_")
        name = f"{stem}_{field_of_plate}" if field_of_plate else stem
        for time in range(times):
            found.add(parent, f"{name}_t{time:03d}" if times > 1 else name, uri, "", time)


def _entries(folder: Path, found: _Found) -> list[Path]:
    """What a folder holds, sorted; links out of the allowed places are problems."""
    return [path for path in _listed(folder) if _allowed(path, found)]


def _listed(folder: Path) -> Iterator[Path]:
    try:
        names = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in names:
        if not entry.name.startswith(".") and not entry.name.endswith(".partial"):
            yield Path(entry.path)


def _allowed(path: Path, found: _Found) -> bool:
    try:
        resolved = found.access.check(str(path))
    except NoyauError as error:
        if str(path) not in found.seen:
            found.seen.add(str(path))
            found.bad(f"{path.parent.name}/{path.stem}", "refused", error.cause, error.remedy)
        return False
    # A folder that is reached twice, or leads back to itself, counts once.
    return not (path.is_symlink() and path.is_dir() and resolved in found.seen)


def _is_zarr(path: Path) -> bool:
    return path.is_dir() and (path.suffix.lower() == ".zarr" or any((path / name).exists() for name in _ZARR_FILES))


def _unique(places: Sequence[Place]) -> list[Place]:
    """One place per image and time; equal names of different images get a number."""
    kept: dict[tuple[str, int | None], Place] = {}
    counts: dict[str, int] = {}
    for place in places:
        if (place.image, place.time) in kept:
            continue
        counts[place.name] = counts.get(place.name, 0) + 1
        name = place.name if counts[place.name] == 1 else f"{place.name}#{counts[place.name]}"
        kept[place.image, place.time] = Place(name, place.folder, place.image, place.labels, place.time)
    return list(kept.values())
