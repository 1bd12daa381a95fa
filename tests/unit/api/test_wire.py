"""Every domain value survives the way over the wire and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from noyau.api.wire.events import event_from_wire, event_to_wire
from noyau.api.wire.jobs import job_from_wire, job_to_wire, state_from_wire
from noyau.api.wire.models import model_from_wire, model_to_wire
from noyau.api.wire.pixels import pixels_from_wire, pixels_to_wire
from noyau.api.wire.specs import spec_from_wire, spec_to_wire
from noyau.domain.errors import ErrorKind, InvalidInput
from noyau.domain.geometry import VoxelSize
from noyau.domain.image import ImageRef
from noyau.domain.jobs import (
    Event,
    EventKind,
    ImageResult,
    Job,
    JobError,
    JobResult,
    JobSpec,
    JobState,
    MeasureSpec,
    SegmentSpec,
)
from noyau.domain.model import ModelInfo, Normalisation, VoteParams
from noyau.domain.training_jobs import SuggestSpec, SynthSpec, TrainSpec
from noyau.v1 import image_pb2, jobs_pb2, preview_pb2, specs_pb2, training_specs_pb2

text = st.text(st.characters(codec="utf-8"), max_size=20)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
whole = st.integers(-(2**31), 2**31 - 1)
large = st.integers(-(2**63), 2**63 - 1)
real = st.floats(allow_nan=False)
sizes = st.tuples(large, large, large)
maybe = st.none()
times = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))
positive = st.floats(1e-6, 1e6)
voxel_sizes = st.builds(VoxelSize, positive, positive, positive)
images = st.builds(ImageRef, text, maybe | whole | text, maybe | st.tuples(whole, whole), whole)
segments = st.builds(
    SegmentSpec,
    images=st.lists(images, max_size=3).map(tuple),
    model=maybe | text,
    labels=names,
    output=maybe | text,
    voxel_size=maybe | voxel_sizes,
    diameter=maybe | real,
    tile=maybe | sizes,
    batch=maybe | whole,
    device=names,
    backend=names,
    foreground=maybe | real,
    min_volume=maybe | real,
    measure=st.booleans(),
    overwrite=st.booleans(),
    workers=maybe | whole,
    fill_missing=st.booleans(),
)
measures = st.builds(
    MeasureSpec,
    images=st.lists(images, max_size=3).map(tuple),
    labels=names,
    channels=st.lists(whole | text, max_size=3).map(tuple),
    output=maybe | text,
    voxel_size=maybe | voxel_sizes,
    overwrite=st.booleans(),
)
json_values = st.recursive(
    st.none() | st.booleans() | text | st.integers(-(2**50), 2**50) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
records = st.dictionaries(text, json_values, max_size=3)
counts = st.integers(1, 2**31 - 1)
trainings = st.builds(
    TrainSpec,
    name=text,
    data=st.lists(text, max_size=3).map(tuple),
    parent=maybe | text,
    mode=st.sampled_from(["scratch", "finetune", "pretrain"]),
    ndim=maybe | whole,
    voxel_size=maybe | voxel_sizes,
    val=st.lists(text, max_size=3).map(tuple),
    val_percent=whole,
    minutes=maybe | real,
    steps=maybe | large,
    synthetic_count=whole,
    synthetic_fraction=real,
    overrides=records,
    labels=names,
    device=names,
    processes=counts,
    seed=large,
    on_bad_pair=st.sampled_from(["stop", "skip"]),
    alias=maybe | text,
    description=text,
    licence=text,
)
suggestions = st.builds(
    SuggestSpec,
    images=st.lists(images, max_size=3).map(tuple),
    output=text,
    model=maybe | text,
    count=counts,
    crop=maybe | sizes,
    voxel_size=maybe | voxel_sizes,
    device=names,
    seed=large,
    overwrite=st.booleans(),
)
syntheses = st.builds(
    SynthSpec,
    output=text,
    ndim=counts,
    count=counts,
    recipe=names,
    seed=large,
    voxel_size=maybe | voxel_sizes,
    shape=maybe | sizes,
    previews=st.booleans(),
    nuclei=maybe | whole,
    density=maybe | real,
    fmt=maybe | text,
    overwrite=st.booleans(),
)
specs = segments | measures | trainings | suggestions | syntheses
errors = st.builds(JobError, st.sampled_from([kind.value for kind in ErrorKind]), text, text)
image_results = st.builds(ImageResult, text, text, text, text, text, large, real)
results = st.builds(
    JobResult,
    st.lists(image_results, max_size=2).map(tuple),
    large,
    real,
    text,
    text,
    st.lists(text, max_size=2).map(tuple),
    st.lists(text, max_size=2).map(tuple),
    st.lists(text, max_size=2).map(tuple),
)
jobs = st.builds(
    Job,
    id=text,
    spec=specs,
    state=st.sampled_from(JobState),
    owner=text,
    group=text,
    priority=whole,
    idempotency_key=text,
    attempts=whole,
    created=maybe | times,
    started=maybe | times,
    finished=maybe | times,
    cancel_requested=st.booleans(),
    error=maybe | errors,
    result=maybe | results,
)


@given(specs)
def test_specs(spec: JobSpec) -> None:
    message = specs_pb2.JobSpec.FromString(spec_to_wire(spec).SerializeToString())
    assert spec_from_wire(message) == spec


def test_a_training_without_a_mode_goes_by_its_parent() -> None:
    message = specs_pb2.JobSpec(train=training_specs_pb2.TrainSpec(name="a"))
    assert spec_from_wire(message) == TrainSpec("a")
    message.train.parent = "nuclei-3d"
    assert spec_from_wire(message) == TrainSpec("a", parent="nuclei-3d", mode="finetune")


def test_modes_of_a_newer_version_are_refused() -> None:
    for train in (training_specs_pb2.TrainSpec(mode=17), training_specs_pb2.TrainSpec(on_bad_pair=9)):
        with pytest.raises(InvalidInput, match=r"17 is no mode|9 is no way"):
            spec_from_wire(specs_pb2.JobSpec(train=train))


@given(jobs)
def test_jobs(job: Job) -> None:
    assert job_from_wire(jobs_pb2.Job.FromString(job_to_wire(job).SerializeToString())) == job


PAYLOADS: list[tuple[EventKind, dict[str, Any]]] = [
    (EventKind.STATE, {"state": "RUNNING", "attempt": 2}),
    (EventKind.STATE, {"state": "QUEUED"}),
    (EventKind.STATE, {"state": "FAILED", "error": {"kind": "NOT_FOUND", "cause": "No.", "remedy": ""}}),
    (EventKind.STAGE, {"name": "predict"}),
    (EventKind.PROGRESS, {"stage": "predict", "done": 1.5, "total": 3.0, "unit": "tile"}),
    (EventKind.METRIC, {"name": "loss", "value": 0.25}),
    (EventKind.LOG, {"level": "warning", "message": "thin"}),
]


@pytest.mark.parametrize(("kind", "payload"), PAYLOADS)
def test_events(kind: EventKind, payload: dict[str, Any]) -> None:
    event = Event("j", 7, datetime(2026, 1, 2, 3, 4, 5, 678901, UTC), kind, payload)
    assert event_from_wire(jobs_pb2.JobEvent.FromString(event_to_wire(event).SerializeToString())) == event


def test_every_kind_of_event_is_covered() -> None:
    assert {kind for kind, _ in PAYLOADS} == set(EventKind)


@given(records, records, records, maybe | voxel_sizes)
def test_models(arguments: Any, metrics: Any, training: Any, voxel_size: VoxelSize | None) -> None:
    info = ModelInfo(
        name="nuclei-3d",
        version="2",
        digest="sha256:00",
        ndim=3,
        architecture="vote-unet",
        arguments=arguments,
        voxel_size=voxel_size,
        diameter=13.5,
        halo=(12, 32, 32),
        stride=(2, 4, 4),
        tile=(32, 128, 128),
        normalisation=Normalisation(1.0, 99.0, 2.0, (-1.0, 5.0), (arguments, metrics), inverted=True),
        vote=VoteParams(0.4, 20.0, (3, 2, 1), (1, 2, 3), 11, 150, (4, 1, 1), 9, (7, 8, 9), 7, 0.25),
        description="d",
        licence="l",
        metrics=metrics,
        training=training,
        kind="border",
        processing=arguments,
        author="a",
        cite=("b", "c"),
        parent="nuclei-3d@1",
        registered={"by": "ada", "at": "2026-01-02T03:04:05+00:00"},
        software={"torch": "2"},
        parameters=metrics,
        bounded=False,
    )
    assert model_from_wire(model_to_wire(info)) == info


def test_a_model_with_values_that_json_does_not_know_is_still_listed() -> None:
    info = ModelInfo(
        "m",
        "1",
        "",
        2,
        "a",
        {"size": (1, 2), "best": float("nan"), "path": object},
        None,
        1.0,
        (0, 0, 0),
        (1, 1, 1),
        (1, 1, 1),
    )
    found = model_from_wire(model_to_wire(info)).arguments
    assert found["size"] == [1, 2]
    assert found["best"] == "nan"


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "<u2", ">u2", "<i2", ">i4", "<u4", "<f4", ">f4", ">f8"])
def test_pixels(dtype: str) -> None:
    block = (np.arange(24).reshape(2, 3, 4) % 100).astype(dtype)[:, ::-1]
    message = preview_pb2.Pixels.FromString(pixels_to_wire(block).SerializeToString())
    found = pixels_from_wire(message)
    np.testing.assert_array_equal(found, block)
    assert found.dtype == block.dtype.newbyteorder("=")
    np.testing.assert_array_equal(pixels_from_wire(pixels_to_wire(block[0])), block[:1])


@pytest.mark.parametrize(
    "message",
    [
        preview_pb2.Pixels(),
        preview_pb2.Pixels(type=99, shape=image_pb2.Size3(z=1, y=1, x=1), data=b"1"),
        preview_pb2.Pixels(type=preview_pb2.PIXEL_TYPE_UINT8, shape=image_pb2.Size3(z=1, y=1, x=2), data=b"1"),
        preview_pb2.Pixels(type=preview_pb2.PIXEL_TYPE_UINT8, shape=image_pb2.Size3(z=-1, y=-1, x=1), data=b"1"),
        preview_pb2.Pixels(type=preview_pb2.PIXEL_TYPE_UINT16, shape=image_pb2.Size3(z=1, y=1, x=1), data=b"1"),
    ],
    ids=["empty", "type", "short", "negative", "half"],
)
def test_pixels_that_do_not_fit_are_refused(message: preview_pb2.Pixels) -> None:
    with pytest.raises(InvalidInput):
        pixels_from_wire(message)


def test_messages_that_say_nothing_are_refused() -> None:
    with pytest.raises(InvalidInput, match="task"):
        spec_from_wire(specs_pb2.JobSpec())
    with pytest.raises(InvalidInput, match="channel"):
        spec_from_wire(specs_pb2.JobSpec(measure=specs_pb2.MeasureSpec(channels=[image_pb2.ChannelRef()])))
    with pytest.raises(InvalidInput, match="positive"):
        spec_from_wire(specs_pb2.JobSpec(segment=specs_pb2.SegmentSpec(voxel_size=image_pb2.VoxelSize())))
    for number in (0, 99):
        with pytest.raises(InvalidInput, match="state"):
            state_from_wire(number)
    with pytest.raises(InvalidInput, match="kind"):
        event_from_wire(jobs_pb2.JobEvent(job_id="j", seq=1))


def test_empty_names_in_a_request_mean_the_defaults() -> None:
    found = spec_from_wire(specs_pb2.JobSpec(segment=specs_pb2.SegmentSpec()))
    assert found == SegmentSpec(images=())
    assert spec_from_wire(specs_pb2.JobSpec(measure=specs_pb2.MeasureSpec())) == MeasureSpec(images=())


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_setting_that_is_no_finite_number_is_named(number: float) -> None:
    message = spec_to_wire(TrainSpec("mine", ("a",), overrides={"augment": {"noise": [0.5]}, "lr": 0.1}))
    message.train.overrides["augment"]["noise"][0] = number
    with pytest.raises(InvalidInput, match="'augment' has a number that is not finite"):
        spec_from_wire(message)
