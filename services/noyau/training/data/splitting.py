"""Training and validation sets that share no specimen and no near copy."""

from __future__ import annotations

import fnmatch
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from noyau.domain.errors import InvalidInput
from noyau.training.data.opening import Dataset, PairRef
from noyau.training.data.values import OnBad, Problem


@dataclass(frozen=True)
class Split:
    """Which pair serves what.

    Attributes:
        train: to learn from.
        val: to measure with; completely labelled pairs only.
        problems: pairs that were left out, and why.
    """

    train: tuple[PairRef, ...]
    val: tuple[PairRef, ...]
    problems: tuple[Problem, ...] = ()


def split_dataset(dataset: Dataset, val: Sequence[str] = (), val_percent: int = 0, on_bad: OnBad = "skip") -> Split:
    """Splits by specimen.

    A pattern puts all matching pairs into validation. A share is drawn by a hash of the specimen's name, so that it
    stays the same whichever other pairs are present; where there are two or more specimens, at least one is drawn and
    one is left.

    Args:
        dataset: from `open_dataset`.
        val: file name patterns (`Emb10_*`) of the name with or without its folder.
        val_percent: further share of the specimens, 0 to 90.
        on_bad: whether a specimen or near copy on both sides is an error, or is left out of the training set.

    Raises:
        InvalidInput: a pattern matches nothing, nothing is left to train on, or a leak with `on_bad="stop"`.
    """
    pairs = dataset.pairs
    chosen = _by_pattern(pairs, val)
    chosen |= _by_share(dataset, chosen, val_percent)
    problems = _leaks(dataset, chosen)
    if problems and on_bad == "stop":
        raise InvalidInput(problems[0].cause, problems[0].remedy)
    leaking = {p.pair for p in problems}
    train = tuple(p for i, p in enumerate(pairs) if i not in chosen and p.name not in leaking)
    if not train:
        raise InvalidInput("No pair is left to train on.", "Choose fewer validation images.")
    problems += _without_validation(dataset, chosen, val_percent)
    return Split(train, tuple(pairs[i] for i in sorted(chosen) if _is_complete(pairs[i])), tuple(problems))


def _without_validation(dataset: Dataset, chosen: set[int], percent: int) -> list[Problem]:
    """Warnings where less is validated on than was asked for."""
    pairs, problems = dataset.pairs, []
    if weak := [pairs[i].name for i in sorted(chosen) if not _is_complete(pairs[i])]:
        cause = f"{len(weak)} validation pairs are labelled in part only, e.g. '{weak[0]}'; they are left out."
        problems.append(Problem("", "partial-validation", "warning", cause, "Validate with fully labelled images."))
    if percent > 0 and not chosen and len(pairs) > 1:
        cause = f"All {len(pairs)} pairs count as one specimen ({dataset.specimens}): none is left to validate with."
        remedy = "Say what a specimen is with --specimen or in dataset.json, or name validation images."
        problems.append(Problem("", "one-specimen", "warning", cause, remedy))
    return problems


def _is_complete(pair: PairRef) -> bool:
    return pair.found.kind == "labels" and pair.found.known == 1.0


def _by_pattern(pairs: Sequence[PairRef], patterns: Sequence[str]) -> set[int]:
    chosen: set[int] = set()
    for pattern in patterns:
        matching = {
            i
            for i, p in enumerate(pairs)
            if fnmatch.fnmatchcase(p.place.stem, pattern) or fnmatch.fnmatchcase(p.name, pattern)
        }
        if not matching:
            raise InvalidInput(
                f"The validation pattern '{pattern}' matches none of {len(pairs)} pairs.",
                f"Their names look like '{pairs[0].place.stem}'." if pairs else "",
            )
        chosen |= matching
    return chosen


def _by_share(dataset: Dataset, chosen: set[int], percent: int) -> set[int]:
    """All pairs of the specimens whose hash is small; near copies go with the first of them."""
    if percent <= 0:
        return set()
    groups = _groups(dataset)
    free = {group: members for group, members in groups.items() if not chosen & set(members)}
    drawn = [group for group in free if _hash(group) % 100 < percent]
    if not drawn and not chosen and len(free) > 1:
        drawn = [min(free, key=_hash)]
    if len(drawn) == len(groups):
        drawn.remove(max(drawn, key=_hash))
    return {i for group in drawn for i in free[group]}


def _groups(dataset: Dataset) -> dict[str, list[int]]:
    """Indices by specimen; specimens with near copies of each other are one group, under the first name."""
    leader: dict[str, str] = {}

    def head(specimen: str) -> str:
        while leader.get(specimen, specimen) != specimen:
            specimen = leader[specimen]
        return specimen

    for copy in dataset.copies:
        a, b = sorted((head(dataset.pairs[copy.first].specimen), head(dataset.pairs[copy.second].specimen)))
        leader[b] = a
    groups: dict[str, list[int]] = defaultdict(list)
    for index, pair in enumerate(dataset.pairs):
        groups[head(pair.specimen)].append(index)
    return groups


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def _leaks(dataset: Dataset, chosen: set[int]) -> list[Problem]:
    """Training pairs that show what is validated on."""
    pairs, problems = dataset.pairs, []
    validated = {pairs[i].specimen: pairs[i].name for i in sorted(chosen)}
    for index, pair in enumerate(pairs):
        if index not in chosen and pair.specimen in validated:
            other = validated[pair.specimen]
            cause = f"'{pair.name}' shows the specimen '{pair.specimen}', which '{other}' validates on."
            remedy = "Validate on whole specimens, or say what a specimen is with --specimen."
            problems.append(Problem(pair.name, "leak", "error", cause, remedy, (other,)))
    named = {p.pair for p in problems}
    for copy in dataset.copies:
        for train, val in ((copy.first, copy.second), (copy.second, copy.first)):
            if train not in chosen and val in chosen and pairs[train].name not in named:
                name, other = pairs[train].name, pairs[val].name
                cause = f"'{name}' is a near copy of the validation image '{other}' (likeness {copy.score:.3f})."
                problems.append(Problem(name, "leak", "error", cause, "Keep both on one side.", (other,)))
                named.add(name)
    return problems
