"""Values for a training configuration by name, as users write them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from noyau.domain.errors import InvalidInput
from noyau.domain.model import Normalisation
from noyau.training.config import AugmentConfig, TrainConfig

# What the request says itself.
_FIXED = frozenset({"name", "ndim", "data", "out", "resume", "parent", "synthetic", "synthetic_count", "val"})
_NESTED = {"augment": AugmentConfig, "normalisation": Normalisation}
_FREE = "arguments"


def overridable() -> tuple[str, ...]:
    """All names that `merge` knows, with a dot before those inside another."""
    plain = [field.name for field in dataclasses.fields(TrainConfig) if field.name not in _FIXED | set(_NESTED)]
    inner = [f"{outer}.{field.name}" for outer, kind in _NESTED.items() for field in dataclasses.fields(kind)]
    return tuple(plain + inner)


def merge(values: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Values of `TrainConfig` with overrides on top; inner names are merged, other values replaced.

    Args:
        values: by field name; `augment`, `normalisation` and `arguments` are mappings themselves.
        overrides: the same, or with dotted names (`augment.noise`).

    Raises:
        InvalidInput: a name is unknown or not for users to set.
    """
    merged = {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}
    for name, value in overrides.items():
        outer, _, inner = name.partition(".")
        if inner:
            value = {inner: value}
        if outer in _NESTED or (outer == _FREE and inner):
            merged[outer] = {**merged.get(outer, {}), **_inner(outer, value)}
        elif inner or outer not in overridable():
            raise _unknown(name)
        else:
            merged[outer] = value
    return merged


def build_config(values: Mapping[str, Any]) -> TrainConfig:
    """The configuration of values by name, with lists for tuples and mappings for what is inside.

    Raises:
        InvalidInput: a value is of the wrong kind, or the values do not fit each other.
    """
    try:
        config: TrainConfig = _adapter().validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "configuration"
        raise InvalidInput(
            f"The training setting '{name}' cannot be used: {first['msg']}.", "See `noyau train --help`."
        ) from error
    return config


def _inner(outer: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInput(f"The training setting '{outer}' takes names and values, not {value!r}.")
    known = {field.name for field in dataclasses.fields(_NESTED[outer])} if outer in _NESTED else set(value)
    for name in value:
        if name not in known:
            raise _unknown(f"{outer}.{name}")
    return dict(value)


def _unknown(name: str) -> InvalidInput:
    return InvalidInput(f"There is no training setting '{name}'.", f"Known are: {', '.join(overridable())}.")


@cache
def _adapter() -> TypeAdapter[TrainConfig]:
    return TypeAdapter(TrainConfig)
