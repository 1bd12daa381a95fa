"""`noyau dataset check`: everything that is known of a dataset before anything is trained on it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from noyau.domain.access import AccessPolicy
from noyau.domain.errors import AlreadyExists, FailedPrecondition
from noyau.domain.progress import Reporter, SilentReporter
from noyau.pipelines.dataset_picture import choose, draw_pairs
from noyau.pipelines.datasets import open_pairs
from noyau.training.data import Dataset, Facts, Problem, Split, dataset_record, split_dataset


@dataclass(frozen=True)
class DatasetReport:
    """What a check found.

    Attributes:
        dataset: pairs and problems.
        split: into training and validation; None where none was asked for.
        record: JSON-ready, see `dataset_record`.
        files: what was written.
    """

    dataset: Dataset
    split: Split | None
    record: dict[str, Any]
    files: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Of the pairs and of the split."""
        return (*self.dataset.problems, *(self.split.problems if self.split else ()))

    @property
    def is_sound(self) -> bool:
        """Whether no pair had to be left out for an error."""
        return not any(p.severity == "error" for p in self.problems)


def run_dataset_check(
    sources: Sequence[str],
    *,
    access: AccessPolicy | None = None,
    ndim: int | None = None,
    labels: str = "nuclei",
    val: Sequence[str] = (),
    val_percent: int = 0,
    facts: Facts | None = None,
    picture: Path | None = None,
    record: Path | None = None,
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> DatasetReport:
    """Checks a dataset; bad pairs are named and the check goes on.

    Args:
        sources, ndim, labels, facts: see `open_dataset`.
        access: where files may live; None means wherever the user can read.
        val, val_percent: see `split_dataset`.
        picture, record: files to write: a PNG of pairs with outlines, the record as JSON.
        overwrite: replace these files.
        reporter: takes progress, a warning for each bad pair, and says when to stop.

    Raises:
        InvalidInput: no pair can be used, nothing is labelled, or the split makes no sense.
        NotFound, PermissionRefused: a source does not exist or may not be read.
        AlreadyExists, FailedPrecondition: a file is there already, or cannot be written.
    """
    reporter = reporter or SilentReporter()
    for path in (picture, record):
        if path is not None and path.exists() and not overwrite:
            raise AlreadyExists(f"'{path}' exists already.", "Choose another name, or replace it with --overwrite.")
    access = access or AccessPolicy.everything()
    dataset = open_pairs(
        sources, access=access, ndim=ndim, labels=labels, on_bad="skip", facts=facts, reporter=reporter
    )
    split = split_dataset(dataset, val, val_percent) if val or val_percent else None
    report = DatasetReport(dataset, split, dataset_record(dataset, split))
    if picture is not None:
        reporter.stage("draw")
        _write(picture, _picture(report))
    if record is not None:
        _write(record, json.dumps(report.record, indent=1, ensure_ascii=False).encode())
    return replace(report, files=tuple(str(path) for path in (picture, record) if path is not None))


def _picture(report: DatasetReport) -> bytes:
    kinds: dict[str, list[str]] = defaultdict(list)
    for problem in report.problems:
        if problem.severity != "note" and problem.kind not in kinds[problem.pair]:
            kinds[problem.pair].append(problem.kind)
    told = {name: ", ".join(words) for name, words in kinds.items() if name}
    pairs = (*report.dataset.doubtful, *report.dataset.pairs)
    shown = choose(pairs, told)
    return draw_pairs(shown, told, f"{len(shown)} of {len(pairs)} pairs")


def _write(path: Path, content: bytes) -> None:
    """Writes beside the target and renames, so that a half-written file is never seen."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise FailedPrecondition(
            f"'{path}' cannot be written: {error.strerror or error}.", "Name a place that can be written to."
        ) from error
