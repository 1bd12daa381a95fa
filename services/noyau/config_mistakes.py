"""What is wrong with settings, in words: which one, given where, why it cannot be used, what to write instead."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from noyau.domain.errors import InvalidInput

PREFIX = "NOYAU_"
REMEDY = "Every setting is described in noyau/config.py and by `noyau serve --show-settings`."
# Their values may hold a password.
SECRET = frozenset({"database", "s3_endpoint"})
_NUMBERS: Mapping[type, str] = types.MappingProxyType({int: "a whole number", float: "a number"})
_LIKENESS = 0.8
_LONGEST_VALUE = 60
Location = tuple[str | int, ...]


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong.

    Attributes:
        where: names the setting and where it was given.
        why: the end of a sentence, without a full stop.
        instead: a sentence that says what to write; may be empty.
    """

    where: str
    why: str
    instead: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.why}. {self.instead}".strip()


@dataclass(frozen=True)
class Given:
    """Where values can have come from; the first wins.

    Attributes:
        options: of the command line, by field name.
        environment: by upper-case name.
        file: the TOML file and what it says.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None
    document: Mapping[str, Any] = field(default_factory=dict)

    def place(self, location: Location) -> str:
        """Where a setting, or the closest table around it, was given."""
        for length in range(len(location), 0, -1):
            names = [str(part) for part in location[:length]]
            if _holds(self.options, names):
                return "command line"
            variable = variable_name(names)
            if variable in self.environment:
                return f"environment variable {variable}"
            if _holds(self.document, names):
                return f"{self.file}, {_toml_name(names)}"
        return f"environment variable {variable_name(location)}"


def variable_name(location: Iterable[str | int]) -> str:
    """Environment variable of a setting, as in `NOYAU_JOBS__WORKERS`."""
    return PREFIX + "__".join(str(part) for part in location).upper()


def refuse(mistakes: Iterable[Mistake]) -> None:
    """Raises InvalidInput that names all mistakes at once; does nothing where there are none."""
    found = list(dict.fromkeys(mistakes))
    if not found:
        return
    if len(found) == 1:
        raise InvalidInput(f"The setting {found[0].where} cannot be used: {found[0].why}.", found[0].instead or REMEDY)
    lines = "".join(f"\n  {number}. {mistake}" for number, mistake in enumerate(found, 1))
    raise InvalidInput(f"{len(found)} settings cannot be used:{lines}\n", REMEDY)


def of_validation(model: type[BaseModel], errors: Iterable[Mapping[str, Any]], given: Given) -> Iterator[Mistake]:
    """What pydantic found (`ValidationError.errors()`), in our words."""
    for error in errors:
        location: Location = tuple(error["loc"])
        place = given.place(location)
        name = ".".join(str(part) for part in location)
        where = f"{name} ({place})"
        if error["type"] == "extra_forbidden":
            yield Mistake(where, "there is no such setting", _meant(model, location))
            continue
        found = _field(model, location)
        value = "the value" if any(part in SECRET for part in location) else _short(error.get("input"))
        yield Mistake(where, _reason(error, value), _instead(found, variable_name(location)))


def unknown_variables(model: type[BaseModel], environment: Iterable[str], known: Iterable[str]) -> Iterator[Mistake]:
    """Variables that look like settings but name none: those of no section, and slips of the pen.

    Other names that begin with NOYAU_ may belong to somebody else: a variable that holds a password
    (`password_env`), or those which Kubernetes makes for a Service that is called noyau.
    """
    leaves = {_collapsed(variable_name(path)): variable_name(path) for path in setting_paths(model)}
    for name in sorted(set(environment)):
        if not name.startswith(PREFIX) or name in known:
            continue
        section = name.removeprefix(PREFIX).split("__")[0].lower()
        if section in model.model_fields:
            continue
        meant = difflib.get_close_matches(_collapsed(name), leaves, 1, _LIKENESS)
        if "__" in name or meant:
            remedy = f"Did you mean {leaves[meant[0]]}?" if meant else REMEDY
            yield Mistake(f"environment variable {name}", "it names no setting", remedy)


def setting_paths(model: type[BaseModel], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Names of all settings from the outermost table on; tables with names of the operator's own are left out."""
    for name, info in model.model_fields.items():
        inner = _model_in(info.annotation)
        if inner is not None and not _is_mapping(info.annotation):
            yield from setting_paths(inner, (*before, name))
        else:
            yield (*before, name)


def _reason(error: Mapping[str, Any], value: str) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in ("greater_than_equal", "greater_than"):
        return f"{value} is too small"
    if kind in ("less_than_equal", "less_than"):
        return f"{value} is too large"
    if kind == "missing":
        return "it is missing"
    if kind == "value_error":
        return f"{context.get('error', error['msg'])}"
    return f"{value} is not of the right kind ({error['msg'][:1].lower()}{error['msg'][1:]})"


def _instead(found: FieldInfo | None, variable: str) -> str:
    """What to write, from the type, the bounds and the description of the field."""
    if found is None:
        return REMEDY
    bounds = {
        name: getattr(item, name) for name in ("ge", "gt", "le") for item in found.metadata if hasattr(item, name)
    }
    kinds = _kinds(found.annotation)
    about = f" ({found.description.rstrip('.')})" if found.description else ""
    for kind in kinds:
        if typing.get_origin(kind) is typing.Literal:
            return f"Write one of {', '.join(map(str, typing.get_args(kind)))}{about}."
        if typing.get_origin(kind) is tuple:
            return f'Write a list; in the environment as JSON: {variable}=\'["one", "two"]\'{about}.'
        if kind is bool:
            return f"Write true or false{about}."
        if kind in _NUMBERS:
            return f"Write {_NUMBERS[kind]}{_range(bounds)}{about}."
    if any(_model_in(kind) for kind in kinds):
        return f"It is a table: set {variable}__NAME in the environment, or write a table in the file."
    return f"{found.description}" if found.description else REMEDY


def _range(bounds: Mapping[str, float]) -> str:
    low = f" from {bounds['ge']}" if "ge" in bounds else f" above {bounds['gt']}" if "gt" in bounds else ""
    return f"{low} to {bounds['le']}" if "le" in bounds else f"{low} on" if "ge" in bounds else low


def _meant(model: type[BaseModel], location: Location) -> str:
    inner = _model_at(model, location[:-1])
    names = list(inner.model_fields) if inner is not None else []
    close = difflib.get_close_matches(str(location[-1]), names, 1, 0.6)
    if close:
        return f"Did you mean {'.'.join([*map(str, location[:-1]), close[0]])}?"
    return f"Known here: {', '.join(names)}." if names else REMEDY


def _field(model: type[BaseModel], location: Location) -> FieldInfo | None:
    """The field that a location names; for an element of a list, the list."""
    for length in range(len(location), 0, -1):
        inner = _model_at(model, location[: length - 1])
        found = inner.model_fields.get(str(location[length - 1])) if inner is not None else None
        if found is not None:
            return found
    return None


def _model_at(model: type[BaseModel], location: Location) -> type[BaseModel] | None:
    """The class of the table at a location."""
    current: type[BaseModel] | None = model
    parts = list(location)
    while parts and current is not None:
        info = current.model_fields.get(str(parts.pop(0)))
        current = None if info is None else _model_in(info.annotation)
        if info is not None and _is_mapping(info.annotation) and parts:
            parts.pop(0)  # the operator's own name
    return current


def _kinds(annotation: Any) -> tuple[Any, ...]:
    """The types of a union without None, and what `Annotated` wraps."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(kind for part in typing.get_args(annotation) for kind in _kinds(part) if kind is not type(None))
    if typing.get_origin(annotation) is typing.Annotated:
        return _kinds(typing.get_args(annotation)[0])
    return (annotation,)


def _is_mapping(annotation: Any) -> bool:
    return typing.get_origin(annotation) is dict


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The class of a table, also of one among others in a dictionary."""
    inner = typing.get_args(annotation)[1] if _is_mapping(annotation) else annotation
    return inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None


def _holds(tree: Mapping[str, Any], names: list[str]) -> bool:
    node: Any = tree
    for name in names:
        if not isinstance(node, Mapping) or name not in node:
            return False
        node = node[name]
    return True


def _toml_name(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"[{'.'.join(names[:-1])}] {names[-1]}"


def _collapsed(name: str) -> str:
    return name.replace("__", "_")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
