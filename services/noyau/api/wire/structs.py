"""Free JSON objects on the wire, as `google.protobuf.Struct`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct, Value

from noyau.domain.errors import InvalidInput


def struct_to_wire(values: Mapping[str, Any]) -> Struct:
    message = Struct()
    json_format.ParseDict(_plain(values), message)
    return message


def struct_from_wire(message: Struct) -> dict[str, Any]:
    """Raises InvalidInput where a value is or holds a number that is not finite."""
    return {key: _value_from_wire(key, value) for key, value in message.fields.items()}


def _value_from_wire(key: str, value: Value) -> Any:
    try:
        return _whole(json_format.MessageToDict(value))
    except ValueError as error:
        raise InvalidInput(
            f"'{key}' has a number that is not finite.", "Give numbers other than NaN and inf."
        ) from error


def _plain(value: Any) -> Any:
    """Lists for tuples and strings for what JSON has no word for, so that no value can break the message."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and value == value and abs(value) != float("inf"):
        return value
    return str(value)


def _whole(value: Any) -> Any:
    """A Struct knows only floats; whole numbers become ints again."""
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
