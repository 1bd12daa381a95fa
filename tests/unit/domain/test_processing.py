"""The processing steps of bioimage.io, against numbers worked out by hand and against numpy."""

import numpy as np
import pytest
from noyau.domain.errors import InvalidInput
from noyau.domain.processing import Step, apply, freeze, steps_from

X = np.array([[0.0, 1.0], [3.0, 8.0]], np.float32)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ({"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}, X),
        ({"id": "scale_linear", "kwargs": {"gain": 2, "offset": -1}}, 2 * X - 1),
        ({"id": "scale_linear", "kwargs": {"gain": [2.0], "axis": "channel"}}, 2 * X),
        ({"id": "clip", "kwargs": {"min": 1, "max": 4}}, [[1, 1], [3, 4]]),
        ({"id": "clip", "kwargs": {"max": 4}}, [[0, 1], [3, 4]]),
        ({"id": "binarize", "kwargs": {"threshold": 1}}, [[0, 0], [1, 1]]),
        ({"id": "fixed_zero_mean_unit_variance", "kwargs": {"mean": 3, "std": 2}}, (X - 3) / 2),
        ({"id": "sigmoid"}, 1 / (1 + np.exp(-X))),
        ({"id": "softmax", "kwargs": {"axis": "channel"}}, np.exp(X) / np.exp(X).sum(axis=0)),
    ],
)
def test_steps_that_need_no_image(step, expected):
    assert np.allclose(apply(steps_from([step]), X), expected, atol=1e-6)


def test_steps_that_measure_the_image_come_to_the_same_for_every_part_of_it():
    image = np.random.default_rng(0).integers(0, 4000, (7, 9, 11)).astype(np.uint16)
    steps = steps_from(
        [
            {"id": "scale_range", "kwargs": {"min_percentile": 2, "max_percentile": 98.5, "eps": 1e-3}},
            {"id": "clip", "kwargs": {"min": 0, "max": 1}},
            {"id": "zero_mean_unit_variance", "kwargs": {}},
        ]
    )
    frozen = freeze(steps, image)
    low, high = np.percentile(image.astype(float), [2, 98.5])
    scaled = np.clip((image - low) / (high - low + 1e-3), 0, 1)
    expected = (scaled - scaled.mean()) / (scaled.std() + 1e-6)
    assert np.allclose(apply(frozen, image), expected, atol=1e-4)
    assert np.array_equal(apply(frozen, image)[2:5, 3:], apply(frozen, image[2:5, 3:]))


def test_a_step_that_was_not_measured_is_no_silent_nothing():
    with pytest.raises(InvalidInput, match="not measured"):
        apply([Step("scale_range", {})], X)


def test_a_constant_image_gives_numbers():
    for name in ("scale_range", "zero_mean_unit_variance"):
        image = np.full((4, 4), 7, np.uint8)
        assert np.isfinite(apply(freeze(steps_from([{"id": name}]), image), image)).all()


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ({"id": "custom"}, "'custom' is not supported"),
        ({"id": "clip", "kwargs": {"min": "0"}}, "'min'"),
        ({"id": "clip", "kwargs": {"min": True}}, "'min'"),
        ({"id": "scale_linear", "kwargs": {"gain": [1.0, 2.0]}}, "'gain'"),
        ({"id": "scale_linear", "kwargs": {"gain": float("nan")}}, "'gain'"),
        ({"id": "binarize", "kwargs": {}}, "lacks its argument 'threshold'"),
    ],
)
def test_steps_that_cannot_be_done_are_named(step, reason):
    with pytest.raises(InvalidInput, match=reason):
        steps_from([step])
