"""A job that dies at any unit and is started again gives the same result and does nothing twice."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from noyau.domain.errors import JobCancelled, LimitExceeded
from noyau.domain.progress import MemoryLedger, SilentReporter
from noyau.pipelines import segment
from noyau.sinks import LabelSink, ResultSink

TILE = (16, 32, 32)


class Killed(BaseException):
    """Stands for kill -9: nothing catches it, nothing is tidied up."""


class MortalLedger(MemoryLedger):
    """Dies at the n-th mark, before or after recording it."""

    def __init__(self) -> None:
        super().__init__()
        self.marks: list[tuple[str, str]] = []
        self.dies_at: int | None = None
        self.records_first = False

    def mark(self, stage, unit, payload=None):
        if len(self.marks) == self.dies_at:
            if self.records_first:
                super().mark(stage, unit, payload)
                self.marks.append((stage, unit))
            raise Killed
        super().mark(stage, unit, payload)
        self.marks.append((stage, unit))


@pytest.fixture
def finished(workshop, worlds):
    """An image, its labels from an undisturbed run, and the marks of that run."""
    uri = workshop.image(worlds((24, 56, 60)).image)
    ledger = MortalLedger()
    segment.run(workshop.spec(uri, tile=TILE), workshop.context(ledger=ledger, job_id="first"))
    return uri, workshop.labels(uri), ledger.marks


def visible(uri):
    """What a reader sees: every file that is not in a hidden folder."""
    parts = [p.relative_to(uri) for p in Path(uri).rglob("*")]
    return {p for p in parts if not any(name.startswith(".") for name in p.parts)}


@pytest.mark.parametrize("records_first", [False, True])
def test_dying_at_every_unit_changes_nothing_and_redoes_nothing(workshop, finished, records_first):
    uri, expected, marks = finished
    stages = [stage for stage, _ in marks]
    assert {"model", "size", "intensity", "predict", "decode", "write", "image"} == set(stages)
    for number in range(len(marks)):
        ledger = MortalLedger()
        ledger.dies_at, ledger.records_first = number, records_first
        context = workshop.context(ledger=ledger, job_id=f"kill{number}{records_first}")
        spec = workshop.spec(uri, tile=TILE, overwrite=True)
        with pytest.raises(Killed):
            segment.run(spec, context)
        ledger.dies_at = None
        result = segment.run(spec, context)
        np.testing.assert_array_equal(workshop.labels(uri), expected)
        assert len(ledger.marks) == len(set(ledger.marks)) == len(marks), "a unit was done twice"
        assert result.nuclei == expected.max()


def test_dying_at_every_unit_in_one_job(workshop, finished):
    uri, expected, marks = finished
    ledger = MortalLedger()
    ledger.records_first = True
    context = workshop.context(ledger=ledger, job_id="unlucky")
    spec = workshop.spec(uri, tile=TILE, overwrite=True)
    deaths = 0
    for number in range(len(marks)):
        ledger.dies_at = number
        with pytest.raises(Killed):
            segment.run(spec, context)
        deaths += 1
    ledger.dies_at = None
    segment.run(spec, context)
    assert deaths == len(marks)
    np.testing.assert_array_equal(workshop.labels(uri), expected)


def test_finished_tiles_are_not_predicted_again(workshop, finished, monkeypatch):
    uri, _, marks = finished
    ledger = MortalLedger()
    ledger.dies_at = next(i for i, (stage, _) in enumerate(marks) if stage == "write")
    context = workshop.context(ledger=ledger, job_id="again")
    spec = workshop.spec(uri, tile=TILE, overwrite=True)
    with pytest.raises(Killed):
        segment.run(spec, context)

    def refuse(*_args, **_kwargs):
        raise AssertionError("the network ran again")

    ledger.dies_at = None
    monkeypatch.setattr("noyau.inference.torch_backend.TorchBackend.predict", refuse)
    segment.run(spec, context)


@pytest.mark.parametrize("sink", [LabelSink, ResultSink])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_dying_around_the_switch_is_recognised(workshop, finished, monkeypatch, sink, moment):
    uri, expected, _ = finished
    ledger, real = MemoryLedger(), sink.commit

    def commit(self, *args, **kwargs):
        if moment == "after":
            real(self, *args, **kwargs)
        raise Killed

    context = workshop.context(ledger=ledger, job_id="switch")
    spec = workshop.spec(uri, tile=TILE, labels="other", measure=True)
    with monkeypatch.context() as patch:
        patch.setattr(sink, "commit", commit)
        with pytest.raises(Killed):
            segment.run(spec, context)
    # No `overwrite`: the job knows its own output.
    result = segment.run(spec, context)
    assert result.nuclei == expected.max()
    assert result.images[0].median_volume_um3 > 0
    assert Path(result.images[0].provenance_uri).is_file()
    assert Path(result.images[0].table_uri).is_file()
    again = segment.run(spec, workshop.context(ledger=MemoryLedger(), job_id="switch"))
    assert again == result
    assert not [p for p in Path(uri).rglob(".*") if p.is_dir()]


def test_a_failed_job_leaves_nothing_behind(workshop, worlds, monkeypatch):
    uri = workshop.image(worlds((24, 56, 60)).image)
    before = visible(uri)
    calls = []

    def full(self, *args, **kwargs):
        calls.append(1)
        raise LimitExceeded("The disk is full.")

    context = workshop.context()
    with monkeypatch.context() as patch:
        patch.setattr(LabelSink, "write", full)
        with pytest.raises(LimitExceeded):
            segment.run(workshop.spec(uri), context)
    assert calls
    segment.cleanup(workshop.spec(uri), context)
    assert visible(uri) == before
    assert not list(Path(uri).glob("**/.*.partial"))
    segment.cleanup(workshop.spec(uri), context)
    segment.run(workshop.spec(uri), workshop.context(job_id="next"))


def test_cleaning_up_keeps_earlier_results(workshop, finished):
    uri, expected, _ = finished
    ledger = MortalLedger()
    ledger.dies_at = 3
    context = workshop.context(ledger=ledger, job_id="bad")
    with pytest.raises(Killed):
        segment.run(workshop.spec(uri, tile=TILE, overwrite=True), context)
    segment.cleanup(workshop.spec(uri, tile=TILE, overwrite=True), context)
    np.testing.assert_array_equal(workshop.labels(uri), expected)
    assert not list(Path(uri).glob("**/.*.partial"))


def test_a_cancel_stops_the_network_between_layers(workshop, worlds):
    class Cancelling(SilentReporter):
        stop_at = float("inf")

        def stage(self, name):
            if name == "predict":
                self.stop_at = time.monotonic() + 0.3

        def check(self):
            if time.monotonic() > self.stop_at:
                raise JobCancelled("Cancelled.")

    uri = workshop.image(worlds((64, 128, 128)).image)
    before = set(threading.enumerate())
    begun = time.monotonic()
    with pytest.raises(JobCancelled):
        segment.run(workshop.spec(uri, tile=(8, 8, 8)), workshop.context(reporter=Cancelling()))
    assert time.monotonic() - begun < 4
    assert set(threading.enumerate()) <= before
