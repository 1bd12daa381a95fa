"""Whether an ONNX graph keeps to its own file: its tensors may name files from which to read, anywhere on the disk.

The graph is walked in its serial form (protocol buffers), so that nothing of it is opened by a library before. Field
numbers: onnx.proto of ONNX 1.x.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from noyau.domain.errors import DamagedData, InvalidInput

DEEPEST = 60
_MODEL, _GRAPH, _NODE, _ATTRIBUTE, _TENSOR, _SPARSE, _FUNCTION = (
    "model", "graph", "node", "attribute", "tensor", "sparse tensor", "function",
)  # fmt: skip
# Which fields of a message hold messages that lead to tensors.
_INSIDE: Mapping[str, Mapping[int, str]] = MappingProxyType(
    {
        _MODEL: {7: _GRAPH, 25: _FUNCTION},
        _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
        _FUNCTION: {7: _NODE, 11: _ATTRIBUTE},
        _NODE: {5: _ATTRIBUTE},
        _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
        _SPARSE: {1: _TENSOR, 2: _TENSOR},
        _TENSOR: {},
    }
)
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_DOMAIN = 7
"""Field of a node that names the set of its operators."""
_DOMAINS = (b"", b"ai.onnx")


def check_onnx(content: bytes, name: str) -> None:
    """Refuses an ONNX file that reads other files or uses operators of somebody's own.

    Raises:
        DamagedData: it is not an ONNX file.
        InvalidInput: a tensor lies in another file, or an operator is not one of ONNX.
    """
    try:
        _walk(memoryview(content), _MODEL, name, 0)
    except (IndexError, ValueError) as error:
        raise DamagedData(f"The ONNX file '{name}' cannot be read: {error}.") from error


def _walk(message: memoryview, kind: str, name: str, depth: int) -> None:
    if depth > DEEPEST:
        raise ValueError("it is nested too deeply")
    for number, value in _fields(message):
        if kind == _TENSOR and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)):
            raise InvalidInput(
                f"The ONNX file '{name}' has weights in another file, which could be any file of this machine.",
                "Ask its makers for a single file with all weights.",
            )
        if kind == _NODE and number == _DOMAIN and isinstance(value, memoryview) and bytes(value) not in _DOMAINS:
            raise InvalidInput(
                f"The ONNX file '{name}' uses operators of '{bytes(value)[:60].decode('utf-8', 'replace')}', which are "
                "not part of ONNX."
            )
        if isinstance(value, memoryview) and number in _INSIDE[kind]:
            _walk(value, _INSIDE[kind][number], name, depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Number and value of each field: bytes for those with a length, else the number (0 for fixed-size floats)."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
        elif wire == 2:
            length, at = _varint(message, at)
            if length > len(message) - at:
                raise ValueError("it is cut short")
            yield number, message[at : at + length]
            at += length
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
            yield number, 0
        else:
            raise ValueError(f"it holds a field of the unknown kind {wire}")
    if at != len(message):
        raise ValueError("it is cut short")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("it holds a number of more than 64 bits")
