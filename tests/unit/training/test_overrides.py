"""Settings as users write them."""

from __future__ import annotations

from typing import Any

import pytest
from noyau.domain.errors import InvalidInput
from noyau.training.overrides import build_config, merge, overridable

BASE: dict[str, Any] = {"name": "a", "ndim": 3, "data": ["x"], "out": "o", "max_steps": 5, "augment": {"noise": 0.1}}


def test_what_is_inside_is_merged_and_the_rest_replaced() -> None:
    merged = merge(BASE, {"batch": 4, "augment.blur": 0.5, "augment": {"gamma": 0.0}, "arguments": {"ndim": 3}})
    assert merged["augment"] == {"noise": 0.1, "blur": 0.5, "gamma": 0.0}
    config = build_config(merge(merged, {"arguments.width": 8, "normalisation.low": 5, "patch": [8, 16, 16]}))
    assert (config.batch, config.patch, config.normalisation.low) == (4, (8, 16, 16), 5.0)
    assert config.arguments == {"ndim": 3, "width": 8}
    assert (config.augment.noise, config.augment.blur, config.augment.offset) == (0.1, 0.5, 0.05)
    assert BASE["augment"] == {"noise": 0.1}


def test_numbers_of_the_wire_fit_whole_and_broken_fields() -> None:
    config = build_config(merge(BASE, {"batch": 3.0, "lr": 1, "augment.zoom_wide": [0.5, 2]}))
    assert isinstance(config.batch, int) and config.lr == 1.0 and config.augment.zoom_wide == (0.5, 2.0)


@pytest.mark.parametrize(
    ("overrides", "word"),
    [
        ({"colour": 1}, "colour"),
        ({"augment.colour": 1}, "augment.colour"),
        ({"batch.size": 1}, "batch.size"),
        ({"augment": 3}, "names and values"),
        ({"name": "b"}, "name"),
        ({"out": "/etc"}, "out"),
        ({"data": ["/etc"]}, "data"),
        ({"parent": "/etc"}, "parent"),
    ],
)
def test_unknown_and_forbidden_names_are_refused(overrides: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidInput, match=word) as told:
        merge(BASE, overrides)
    if "names and values" not in word:
        assert "augment.noise" in told.value.remedy


@pytest.mark.parametrize(
    ("overrides", "word"),
    [({"batch": 2.5}, "batch"), ({"batch": 0}, "batch"), ({"lr": "fast"}, "lr"), ({"augment.noise": "x"}, "augment")],
)
def test_values_of_the_wrong_kind_are_named(overrides: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        build_config(merge(BASE, overrides))


def test_a_record_makes_the_same_configuration_again() -> None:
    config = build_config(merge(BASE, {"patch": [8, 16, 16], "voxel_size": [2, 1, 1], "settle": 0.5}))
    assert build_config(config.record()) == config


def test_all_names_are_told_once() -> None:
    names = overridable()
    assert len(set(names)) == len(names) and {"lr", "augment.noise", "normalisation.low", "precision"} <= set(names)
