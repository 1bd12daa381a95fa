"""Specs, results and errors of jobs as JSON, and back.

The JSON is canonical (sorted keys, no spaces), so that two equal specs give equal text and an idempotency key can be
checked against the spec that it was first used with.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from noyau.domain.errors import FailedPrecondition
from noyau.domain.jobs import JobError, JobResult, JobSpec, MeasureSpec, SegmentSpec
from noyau.domain.training_jobs import SuggestSpec, SynthSpec, TrainSpec

KINDS: MappingProxyType[str, type[JobSpec]] = MappingProxyType(
    {
        "segment": SegmentSpec,
        "measure": MeasureSpec,
        "train": TrainSpec,
        "suggest": SuggestSpec,
        "synth": SynthSpec,
    }
)
"""Job kinds by name; the name is what the store keeps and what handlers are registered under."""


def kind_of(spec: JobSpec) -> str:
    """The name of the spec's kind, e.g. `segment`.

    Raises:
        FailedPrecondition: no kind of this version has that type.
    """
    for name, spec_type in KINDS.items():
        if isinstance(spec, spec_type):
            return name
    raise FailedPrecondition(f"Jobs of type {type(spec).__name__} are not known to this version of Noyau.")


def dump(value: Any) -> str:
    """Canonical JSON of plain values; NumPy numbers and arrays count as plain."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    # Results, progress and ledger payloads often hold numbers that came out of arrays.
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be stored as JSON")


def encode_spec(spec: JobSpec) -> str:
    """Canonical JSON of a spec, without its kind."""
    return dump(asdict(spec))


def decode_spec(kind: str, text: str) -> JobSpec:
    """The spec that `encode_spec` wrote.

    Raises:
        FailedPrecondition: the kind or a field is not known to this version (a newer one wrote it).
    """
    if kind not in KINDS:
        raise FailedPrecondition(
            f"Jobs of kind {kind!r} are not known to this version of Noyau.",
            "Use the version that submitted the job, or a newer one.",
        )
    spec: JobSpec = _decode(KINDS[kind], text, f"a job of kind {kind!r}")
    return spec


def encode_result(result: JobResult) -> str:
    return dump(asdict(result))


def decode_result(text: str | None) -> JobResult | None:
    return None if text is None else _decode(JobResult, text, "a job result")


def encode_error(error: JobError) -> str:
    return dump(asdict(error))


def decode_error(text: str | None) -> JobError | None:
    return None if text is None else _decode(JobError, text, "a job error")


@cache
def _adapter(value_type: type) -> TypeAdapter[Any]:
    return TypeAdapter(value_type)


def _decode(value_type: type, text: str, what: str) -> Any:
    try:
        return _adapter(value_type).validate_python(json.loads(text))
    except (ValidationError, json.JSONDecodeError) as error:
        raise FailedPrecondition(
            f"The job database holds {what} that this version of Noyau cannot read.",
            "Use the version that wrote it, or a newer one.",
        ) from error
