"""Specs, results and errors survive the way to JSON and back."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from noyau.domain.errors import FailedPrecondition
from noyau.domain.geometry import VoxelSize
from noyau.domain.image import ImageRef
from noyau.domain.jobs import JobError, JobResult, JobSpec, MeasureSpec, SegmentSpec
from noyau.domain.training_jobs import SuggestSpec, SynthSpec, TrainSpec
from noyau.jobs import codec

_SIZES = st.floats(1e-3, 1e3)
_REFS = st.builds(
    ImageRef,
    st.text(),
    channel=st.none() | st.integers(0, 9) | st.text(),
    time=st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)),
)
_VOXELS = st.none() | st.builds(VoxelSize, _SIZES, _SIZES, _SIZES)
_SEGMENT = st.builds(
    SegmentSpec,
    st.lists(_REFS, max_size=3).map(tuple),
    model=st.none() | st.text(),
    voxel_size=_VOXELS,
    tile=st.none() | st.tuples(st.integers(1, 99), st.integers(1, 99), st.integers(1, 99)),
    foreground=st.none() | st.floats(0, 1),
)
_MEASURE = st.builds(
    MeasureSpec,
    st.lists(_REFS, max_size=3).map(tuple),
    channels=st.lists(st.integers(0, 9) | st.text(), max_size=3).map(tuple),
    voxel_size=_VOXELS,
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_TRAINING = st.one_of(
    st.builds(
        TrainSpec,
        st.text(),
        data=st.lists(st.text(), max_size=3).map(tuple),
        parent=st.none() | st.text(),
        mode=st.sampled_from(["scratch", "finetune", "pretrain"]),
        voxel_size=_VOXELS,
        minutes=st.none() | st.floats(0, 9),
        overrides=st.dictionaries(st.text(), _JSON, max_size=3),
    ),
    st.builds(SuggestSpec, st.lists(_REFS, max_size=3).map(tuple), st.text(), voxel_size=_VOXELS),
    st.builds(SynthSpec, st.text(), shape=st.none() | st.tuples(*[st.integers(1, 99)] * 3), voxel_size=_VOXELS),
)


@given(_TRAINING)
@settings(deadline=None)  # the first call builds the parsers
def test_a_spec_around_training_comes_back_equal(spec: JobSpec) -> None:
    text = codec.encode_spec(spec)
    back = codec.decode_spec(codec.kind_of(spec), text)
    assert back == spec
    assert type(back) is type(spec)
    assert codec.encode_spec(back) == text


@given(_SEGMENT | _MEASURE)
@settings(deadline=None)
def test_a_spec_comes_back_equal_and_in_the_same_types(spec: SegmentSpec | MeasureSpec) -> None:
    text = codec.encode_spec(spec)
    back = codec.decode_spec(codec.kind_of(spec), text)
    assert back == spec
    assert isinstance(back, SegmentSpec | MeasureSpec)
    assert type(back) is type(spec)
    # A channel named "1" must not become channel 1.
    assert [type(ref.channel) for ref in back.images] == [type(ref.channel) for ref in spec.images]
    assert codec.encode_spec(back) == text


def test_kinds_are_named_once() -> None:
    assert codec.kind_of(SegmentSpec(())) == "segment"
    assert codec.kind_of(MeasureSpec(())) == "measure"
    assert codec.kind_of(TrainSpec("a")) == "train"
    assert codec.kind_of(SuggestSpec((), "o")) == "suggest"
    assert codec.kind_of(SynthSpec("o")) == "synth"
    with pytest.raises(FailedPrecondition, match="int"):
        codec.kind_of(3)  # type: ignore[arg-type]


def test_results_and_errors_come_back() -> None:
    error = JobError("NOT_FOUND", "No.", "Look.")
    assert codec.decode_error(codec.encode_error(error)) == error
    back = codec.decode_result(codec.encode_result(JobResult(nuclei=3, median_volume_um3=math.nan, models=("a@1",))))
    assert back is not None and back.nuclei == 3 and math.isnan(back.median_volume_um3)
    assert back.models == ("a@1",)
    assert codec.decode_error(None) is None and codec.decode_result(None) is None


@pytest.mark.parametrize(("kind", "text"), [("paint", "{}"), ("segment", "{}"), ("segment", "no json")])
def test_what_a_newer_version_wrote_is_refused(kind: str, text: str) -> None:
    with pytest.raises(FailedPrecondition):
        codec.decode_spec(kind, text)


def test_the_json_of_a_spec_is_pinned() -> None:
    """It is stored and compared with idempotency keys: a change of a default or a name is a change of the format."""
    spec = SegmentSpec((ImageRef("a"),), voxel_size=VoxelSize(2, 1, 1))
    assert json.loads(codec.encode_spec(spec))["voxel_size"] == {"z": 2, "y": 1, "x": 1}
    assert codec.encode_spec(MeasureSpec((ImageRef("a", "DAPI", (0, 1), 2),))) == (
        '{"channels":[],"images":[{"channel":"DAPI","level":2,"time":[0,1],"uri":"a"}],"labels":"nuclei",'
        '"output":null,"overwrite":false,"voxel_size":null}'
    )


def test_numbers_out_of_arrays_are_plain() -> None:
    assert codec.dump({"n": np.uint32(3), "m": np.float32(0.5), "b": np.bool_(True), "a": np.arange(2)}) == (
        '{"a":[0,1],"b":true,"m":0.5,"n":3}'
    )
    with pytest.raises(TypeError, match="object"):
        codec.dump({"x": object()})
