"""Pairs against pairs: duplicates, near copies, labels of another image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from noyau.training.data.agreement import USUALLY, Doubt, doubts
from noyau.training.data.likeness import Likeness, near_copies
from noyau.training.data.values import Findings, Problem

Named = tuple[str, str, Findings]


@dataclass
class Comparison:
    """What the comparison of all pairs gave.

    Attributes:
        problems: about pairs of pairs.
        dropped: indices of pairs that are left out.
        copies: near copies, indices before anything was left out.
    """

    problems: list[Problem] = field(default_factory=list)
    dropped: set[int] = field(default_factory=set)
    copies: list[Likeness] = field(default_factory=list)
    count: int = 0

    def renumbered(self) -> tuple[Likeness, ...]:
        """Near copies among the pairs that are kept, by their new indices."""
        kept = [i for i in range(self.count) if i not in self.dropped]
        new = {old: i for i, old in enumerate(kept)}
        return tuple(
            replace(c, first=new[c.first], second=new[c.second])
            for c in self.copies
            if c.first in new and c.second in new
        )


def compare(pairs: Sequence[Named], labelled: bool, check: Callable[[], None]) -> Comparison:
    """Compares every pair with every other.

    Args:
        pairs: name, specimen and findings.
        labelled: whether labels are compared as well.
        check: called often; raises to stop.
    """
    result = Comparison(count=len(pairs))
    # First, so that of two answers to one image the one that fits is kept.
    if labelled:
        _foreign_labels(pairs, result)
    _duplicates(pairs, labelled, result)
    pictures = [found.outline[0] for _, _, found in pairs]

    def apart(i: int, j: int) -> bool:
        return pairs[i][1] != pairs[j][1] and not {i, j} & result.dropped

    result.copies = near_copies(pictures, apart, check)
    for copy in result.copies:
        first, second = pairs[copy.first][0], pairs[copy.second][0]
        cause = f"'{second}' looks like a copy of '{first}' (likeness {copy.score:.3f})."
        remedy = "They are kept on one side of a split by shares; leave one out."
        result.problems.append(Problem(second, "copy", "warning", cause, remedy, (first,)))
    return result


def _duplicates(pairs: Sequence[Named], labelled: bool, result: Comparison) -> None:
    """Images that are the same value for value; the first is kept."""
    seen: dict[str, int] = {}
    for index, (name, _, found) in enumerate(pairs):
        if index in result.dropped:
            continue
        first = seen.setdefault(found.image_digest, index)
        if first == index:
            continue
        other = pairs[first][0]
        result.dropped.add(index)
        if labelled and found.labels_digest != pairs[first][2].labels_digest:
            cause = f"'{name}' has the image of '{other}' but other labels."
            problem = Problem(name, "contradiction", "error", cause, "Remove the wrong one.", (other,))
        else:
            problem = Problem(
                name, "duplicate", "warning", f"'{name}' is the same as '{other}'; it is left out.", "", (other,)
            )
        result.problems.append(problem)


def _foreign_labels(pairs: Sequence[Named], result: Comparison) -> None:
    indices = [i for i, (_, _, f) in enumerate(pairs) if f.kind == "labels"]
    found, typical = doubts([pairs[i][2].outline for i in indices], [pairs[i][2].shape for i in indices])
    for doubt in found:
        index = indices[doubt.index]
        other = None if doubt.other is None else pairs[indices[doubt.other]][0]
        problem = _told(pairs[index][0], other, doubt, typical)
        result.problems.append(problem)
        if problem.severity == "error":
            result.dropped.add(index)


def _told(name: str, other: str | None, doubt: Doubt, typical: float) -> Problem:
    numbers = f"agreement {doubt.own:.2f} with its own"
    if other is not None:
        cause = (
            f"The labels of '{name}' and '{other}' are swapped ({numbers}, {doubt.better:.2f} with the other's labels)."
            if doubt.mutual
            else f"The image '{name}' fits the labels of '{other}' ({doubt.better:.2f}) better than its own "
            f"({doubt.own:.2f})."
        )
        return Problem(name, "swapped", "error", cause, "Exchange the label files.", (other,))
    cause = f"The labels of '{name}' do not agree with its image ({doubt.own:.2f}; {typical:.2f} is usual here)."
    severity = "error" if typical >= USUALLY else "warning"
    return Problem(name, "strange", severity, cause, "Are they the labels of another image?")  # type: ignore[arg-type]
