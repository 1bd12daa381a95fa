"""A dataset, found, read once, checked pair by pair and pair against pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from noyau.domain.access import AccessPolicy
from noyau.domain.errors import InvalidInput, NoyauError, PermissionRefused, error_from_kind
from noyau.domain.intensity import percentiles
from noyau.domain.model import Normalisation
from noyau.domain.progress import Reporter, SilentReporter
from noyau.training.data.comparing import compare
from noyau.training.data.examining import count_fragments, examine, fragment_size, oddities, spacing_oddities
from noyau.training.data.facts import Facts
from noyau.training.data.finding import find_places
from noyau.training.data.likeness import Likeness
from noyau.training.data.naming import specimens_of
from noyau.training.data.preparing import Prepared, prepare
from noyau.training.data.reading import facts_of, read_sample
from noyau.training.data.values import LARGEST_PAIR_VOXELS, Findings, OnBad, Place, Problem, Readers
from noyau.training.dataset import Pair
from noyau.training.targets import find_objects

DEFAULT_GROUP = "nuclei"
# Of a dataset of which nothing can be used, so many reasons are told.
_MOST_TOLD = 20


@dataclass(frozen=True)
class PairRef:
    """A checked pair that can be loaded.

    Attributes:
        place: where it lives.
        specimen: see `Pair`; `folder/specimen`.
        found: what the check found.
        facts: what the user, or a `dataset.json`, says of it.
        ndim, readers, limit, labelled: how it is read.
    """

    place: Place
    specimen: str
    found: Findings
    facts: Facts
    ndim: int
    readers: Readers = field(repr=False, compare=False)
    limit: int = LARGEST_PAIR_VOXELS
    labelled: bool = True

    @property
    def name(self) -> str:
        """`folder/stem`."""
        return self.place.name

    def prepared(self) -> Prepared:
        """Reads and checks the pair again.

        Raises:
            NoyauError: it has changed since it was checked, and cannot be used any more.
        """
        return _read(self.place, self.readers, self.facts, self.ndim, self.limit, self.labelled)

    def load(self, params: Normalisation, fragment: int = 0) -> Pair:
        """The pair in memory.

        Args:
            params: of the normalisation.
            fragment: labelled objects of fewer voxels do not count.
        """
        ready = self.prepared()
        low, high = percentiles(ready.image, params)
        objects = find_objects(ready.labels, fragment) if ready.objects is None else ready.objects
        return Pair(self.name, ready.image, ready.labels, low, high, objects, ready.known, ready.kind, self.specimen)


@dataclass(frozen=True)
class Dataset:
    """Pairs that can be trained on, and all that was found about them and about those that cannot.

    Attributes:
        pairs: in the order of their sources and names.
        problems: errors (pairs that were left out), warnings and notes.
        ndim: of the images.
        fragment: voxels below which a labelled object is likely a fragment.
        specimens: how specimens were told apart.
        copies: near copies among the pairs, as indices.
        doubtful: pairs that could be read, but not be trained on after they were compared with the others.
    """

    pairs: tuple[PairRef, ...]
    problems: tuple[Problem, ...]
    ndim: int
    fragment: int
    specimens: str
    copies: tuple[Likeness, ...] = ()
    doubtful: tuple[PairRef, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Why pairs were left out."""
        return tuple(p for p in self.problems if p.severity == "error")


def open_dataset(
    sources: Sequence[str],
    *,
    ndim: int | None = None,
    labels: str = DEFAULT_GROUP,
    on_bad: OnBad = "stop",
    access: AccessPolicy | None = None,
    readers: Readers | None = None,
    facts: Facts | None = None,
    labelled: bool = True,
    reporter: Reporter | None = None,
) -> Dataset:
    """Finds, reads and checks all pairs; nothing of the pixels is kept.

    Args:
        sources: see `find_places`.
        ndim: 2 or 3; None goes by the first pair that can be read.
        labels: label group of OME-Zarr images.
        on_bad: whether the first bad pair is an error, or bad pairs are left out and named.
        access: where files may live.
        readers: of TIFF and OME-Zarr; None reads npz only.
        facts: what the user says; wins over `dataset.json`.
        labelled: False for images without labels (self-supervised training).
        reporter: takes progress and says when to stop.

    Raises:
        NotFound, PermissionRefused: a source does not exist or may not be read.
        InvalidInput: no pair can be used, or nothing is labelled; or the first bad pair, with `on_bad="stop"`.
    """
    access, readers = access or AccessPolicy.everything(), readers or Readers()
    reporter, said = reporter or SilentReporter(), facts or Facts()
    reporter.stage("check")
    places, problems = find_places(sources, access, readers.members, labelled)
    _stop_at_errors(problems, on_bad)
    gathered = _Gathered(access, readers, said, labels, on_bad, labelled, ndim, problems, reporter)
    for done, place in enumerate(places, start=1):
        reporter.check()
        gathered.add(place)
        reporter.progress(done, len(places), "pair")
    return gathered.dataset()


class _Gathered:
    """The pairs that were read so far."""

    def __init__(
        self, access: AccessPolicy, readers: Readers, said: Facts, group: str, on_bad: OnBad, labelled: bool,
        ndim: int | None, problems: list[Problem], reporter: Reporter,
    ) -> None:  # fmt: skip
        self._access, self._readers, self._said, self._on_bad = access, readers, said, on_bad
        self._group, self._labelled, self._ndim = said.labels or group, labelled, ndim
        self._limit = access.max_voxels or LARGEST_PAIR_VOXELS
        self._problems, self._reporter = problems, reporter
        self._folders: dict[str, Facts] = {}
        self._pairs: list[PairRef] = []
        self._notes: list[tuple[tuple[str, str], ...]] = []
        self._tried = len(problems)

    def add(self, place: Place) -> None:
        """Reads and examines one pair, or keeps the reason why it cannot be used."""
        self._tried += 1
        try:
            for path in (place.image, place.labels):
                if path:
                    self._access.check(path)
            folder = facts_of(place.folder, self._access, self._folders)
            facts = replace(self._said.over(folder), labels=self._said.labels or folder.labels or self._group)
            if self._ndim is None:
                self._ndim = _dimensions(place, self._readers, facts, self._limit, self._labelled)
            ready = _read(place, self._readers, facts, self._ndim, self._limit, self._labelled)
        except NoyauError as error:
            if self._on_bad == "stop":
                raise
            kind = "refused" if isinstance(error, PermissionRefused) else error.kind.value.lower()
            self._problems.append(Problem(place.name, kind, "error", error.cause, error.remedy))
            return
        reference = PairRef(place, "", examine(ready), facts, self._ndim, self._readers, self._limit, self._labelled)
        self._pairs.append(reference)
        self._notes.append(ready.notes)

    def dataset(self) -> Dataset:
        """What is left after all pairs were compared with each other."""
        if not self._pairs:
            for problem in self._problems[:_MOST_TOLD]:
                self._reporter.log(str(problem), "warning")
            first = self._problems[0] if self._problems else Problem("", "none", "error", "There is no pair.")
            raise InvalidInput(f"None of {self._tried} pairs can be used. {first.cause}", first.remedy)
        least = fragment_size([p.found for p in self._pairs])
        pairs = [replace(p, found=count_fragments(p.found, least)) for p in self._pairs]
        names, found = [p.name for p in pairs], [p.found for p in pairs]
        for pair, notes in zip(pairs, self._notes, strict=True):
            self._problems += oddities(pair.name, pair.found, least, notes) if self._labelled else []
        self._problems += spacing_oddities(names, found, pairs[0].ndim)
        pairs, rule = _with_specimens(pairs)
        compared = compare([(p.name, p.specimen, p.found) for p in pairs], self._labelled, self._reporter.check)
        self._problems += compared.problems
        _stop_at_errors(compared.problems, self._on_bad)
        kept = tuple(p for i, p in enumerate(pairs) if i not in compared.dropped)
        doubtful = tuple(pairs[i] for i in sorted(compared.dropped))
        if self._labelled:
            _require_labels(kept)
            self._problems += _set_oddities(kept)
        return Dataset(kept, tuple(self._problems), pairs[0].ndim, least, rule, compared.renumbered(), doubtful)


def _read(place: Place, readers: Readers, facts: Facts, ndim: int, limit: int, labelled: bool) -> Prepared:
    sample = read_sample(place, readers, facts.labels or DEFAULT_GROUP, limit, labelled)
    return prepare(sample, place.name, ndim, facts, labelled)


def _dimensions(place: Place, readers: Readers, facts: Facts, limit: int, labelled: bool) -> int:
    """2 or 3, by the labels of a pair; by its image where there are none."""
    sample = read_sample(place, readers, facts.labels or DEFAULT_GROUP, limit, labelled)
    pixels = sample.labels or sample.image
    shape = pixels.values.shape[: -1 if pixels.channels else None]
    if pixels is sample.image and not pixels.channels and len(shape) == 3 and shape[-1] in (3, 4):
        shape = shape[:-1]
    return 3 if len([n for n in shape if n > 1]) >= 3 else 2


def _stop_at_errors(problems: Sequence[Problem], on_bad: OnBad) -> None:
    first = next((p for p in problems if p.severity == "error"), None)
    if first is not None and on_bad == "stop":
        kind = "PERMISSION_DENIED" if first.kind == "refused" else "INVALID_ARGUMENT"
        raise error_from_kind(kind, first.cause, first.remedy)


def _with_specimens(pairs: Sequence[PairRef]) -> tuple[list[PairRef], str]:
    """The pairs with `folder/specimen`, told apart folder by folder."""
    named, rules = list(pairs), []
    groups: dict[tuple[str, str | None], list[int]] = {}
    for index, pair in enumerate(pairs):
        groups.setdefault((pair.name.rpartition("/")[0], pair.facts.specimen), []).append(index)
    for (folder, pattern), indices in groups.items():
        specimens, rule = specimens_of([pairs[i].place.stem for i in indices], pattern)
        rules.append(rule)
        for i, specimen in zip(indices, specimens, strict=True):
            named[i] = replace(pairs[i], specimen=f"{folder}/{specimen}".strip("/"))
    return named, "; ".join(dict.fromkeys(rules))


def _require_labels(pairs: Sequence[PairRef]) -> None:
    if not any(p.found.objects for p in pairs):
        raise InvalidInput(
            f"Nothing is labelled in any of {len(pairs)} pairs.", "Check that the label files are the right ones."
        )


def _set_oddities(pairs: Sequence[PairRef]) -> list[Problem]:
    problems = []
    if len(pairs) == 1:
        problems.append(Problem("", "single", "warning", "There is one pair only: none is left to validate with."))
    if all(p.found.known == 0 or p.found.foreground == 1.0 for p in pairs):
        cause = "Nothing is known to be background: there are only points, and they are not said to be complete."
        remedy = "Set `complete` in dataset.json where every nucleus has its point, or add labelled pairs."
        problems.append(Problem("", "no-background", "warning", cause, remedy))
    if not any(p.facts.licence for p in pairs):
        problems.append(Problem("", "licence", "note", "No licence is stated.", "Give --licence or a dataset.json."))
    return problems
