"""What a pair is, and what is odd about it though it can be used."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import cc3d
import numpy as np

from noyau.training.data.outline import outline_of
from noyau.training.data.preparing import Prepared
from noyau.training.data.values import Findings, Problem

# Objects smaller than this share of the median object of the whole dataset are fragments.
FRAGMENT_SHARE = 0.05
_FULL = 0.95
_STRAY = 4
_NEARLY_ALL = 0.999999
_SPACING_TOLERANCE = 0.1


def examine(prepared: Prepared) -> Findings:
    """Counts, sizes, digests and small pictures of a pair; fragments are counted later, by `count_fragments`."""
    labels, known = prepared.labels, prepared.known
    sizes = np.bincount(labels.ravel())[1:]
    sizes = sizes[sizes > 0]
    weak = prepared.objects
    covered = labels.size if known is None else int(known.sum())
    foreground = int((labels > 0).sum() if known is None else ((labels > 0) & known).sum())
    return Findings(
        shape=prepared.image.shape,
        dtype=prepared.image.dtype.name,
        kind=prepared.kind,
        voxel_size=None if prepared.voxel_size is None else tuple(prepared.voxel_size),  # type: ignore[arg-type]
        objects=len(sizes) if weak is None else len(weak.ids),
        fragments=0,
        split_objects=_in_pieces(labels, len(sizes)) if weak is None else 0,
        median_size=float(np.median(sizes)) if len(sizes) and prepared.kind != "points" else 0.0,
        foreground=round(foreground / max(covered, 1), 4),
        known=1.0 if known is None else min(round(covered / labels.size, 6), _NEARLY_ALL),
        image_digest=_digest(prepared.image),
        labels_digest=_digest(labels),
        sizes=sizes if prepared.kind == "labels" else sizes[:0],
        outline=outline_of(prepared.image, labels),
    )


def _in_pieces(labels: np.ndarray, objects: int) -> int:
    """How many more connected pieces than labels there are."""
    _, pieces = cc3d.connected_components(labels, connectivity=8 if labels.ndim == 2 else 26, return_N=True)
    return max(0, int(pieces) - objects)


def _digest(values: np.ndarray) -> str:
    text = hashlib.sha256(f"{values.shape} {values.dtype.name}".encode())
    text.update(np.ascontiguousarray(values).data)
    return text.hexdigest()


def fragment_size(findings: Sequence[Findings]) -> int:
    """Voxels below which an object is a fragment; 0 where nothing is labelled."""
    sizes = np.concatenate([f.sizes for f in findings] or [np.zeros(0)])
    if len(sizes) == 0:
        return 0
    median = float(np.median(sizes))
    # Of small nuclei, a twentieth is less than a stray voxel or two.
    return max(int(FRAGMENT_SHARE * median), min(_STRAY, int(0.2 * median)))


def count_fragments(findings: Findings, least: int) -> Findings:
    """The findings with the number of objects of fewer than `least` voxels."""
    return replace(findings, fragments=int((findings.sizes < least).sum()))


def oddities(name: str, found: Findings, least: int, notes: Sequence[tuple[str, str]]) -> list[Problem]:
    """Warnings and notes about one pair.

    Args:
        name: of the pair.
        found: about it, with its fragments.
        least: voxels of the smallest object that is no fragment.
        notes: kind and cause of what was assumed.
    """
    problems = [Problem(name, kind, "note", cause) for kind, cause in notes]

    def warn(kind: str, cause: str, remedy: str = "") -> None:
        problems.append(Problem(name, kind, "warning", cause, remedy))

    if found.objects == 0:
        warn("empty", f"Nothing is labelled in '{name}'.", "It is trained on as an image without nuclei.")
    if found.fragments:
        what = f"{found.fragments} of {found.objects} objects of '{name}' have fewer than {least} voxels."
        warn("fragments", what, f"Remove them, or leave them out of the training with its setting fragment={least}.")
    if found.split_objects:
        what = f"Labels of '{name}' are in pieces: {found.split_objects} more than there are labels."
        warn("pieces", what, "One number may stand for two nuclei.")
    if found.foreground > _FULL and found.kind == "labels":
        warn("full", f"The labels of '{name}' cover {found.foreground:.0%} of the image.", "Is background labelled?")
    return problems


def spacing_oddities(names: Sequence[str], findings: Sequence[Findings], ndim: int) -> list[Problem]:
    """Warnings about voxel sizes that are missing or differ from those of most pairs."""
    known = [(n, f.voxel_size) for n, f in zip(names, findings, strict=True) if f.voxel_size is not None]
    problems: list[Problem] = []
    missing = len(names) - len(known)
    if missing and (known or ndim == 3):
        cause = f"{missing} of {len(names)} pairs do not state their voxel size."
        problems.append(Problem("", "no-spacing", "warning", cause, "Give it with --voxel-size or in dataset.json."))
    if not known:
        return problems
    typical = np.median([size for _, size in known], axis=0)
    odd = [n for n, size in known if not np.allclose(size[3 - ndim :], typical[3 - ndim :], rtol=_SPACING_TOLERANCE)]
    if odd:
        text = " x ".join(f"{v:g}" for v in typical[3 - ndim :])
        cause = f"{len(odd)} of {len(names)} pairs have voxels of another size than {text} µm, e.g. '{odd[0]}'."
        problems.append(Problem("", "spacing", "warning", cause, "Resample them to one size.", tuple(odd)))
    return problems
