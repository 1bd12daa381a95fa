"""Reading a YAML text that may be hostile: plain values only, with bounds on size, depth and repetition."""

from __future__ import annotations

from typing import Any

import yaml

from noyau.domain.errors import DamagedData, LimitExceeded

MOST_BYTES = 2_000_000
MOST_VALUES = 50_000
DEEPEST = 40


def read_yaml(content: bytes, name: str) -> dict[str, Any]:
    """The mapping in a YAML text.

    An alias counts as often as what it stands for, so that a text of a few lines cannot stand for billions of values.

    Raises:
        DamagedData: it is not YAML, asks for objects of Python, or is not a mapping.
        LimitExceeded: it is too large.
    """
    if len(content) > MOST_BYTES:
        raise LimitExceeded(f"The description '{name}' has {len(content):,} bytes, more than {MOST_BYTES:,}.")
    try:
        loader = _Loader(content.decode("utf-8"))
        try:
            node = loader.get_single_node()
            _weigh(node, name)
            found = loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DamagedData(f"The description '{name}' cannot be read as YAML: {reason}.") from error
    if not isinstance(found, dict):
        raise DamagedData(f"The description '{name}' is not a mapping.")
    return found


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # the library has no types
    """Knows plain values; stops early in texts that nest too deeply."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._depth += 1
        if self._depth > DEEPEST:
            raise yaml.YAMLError(f"it is nested more than {DEEPEST} levels deep")
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


def _weigh(root: yaml.Node | None, name: str) -> None:
    """Counts values with every alias written out."""
    known: dict[int, int] = {}
    busy: set[int] = set()

    def weight(node: yaml.Node) -> int:
        if id(node) in known:
            return known[id(node)]
        if id(node) in busy:
            raise yaml.YAMLError("a value contains itself")
        busy.add(id(node))
        total = 1
        if isinstance(node, yaml.MappingNode):
            total += sum(weight(key) + weight(value) for key, value in node.value)
        elif isinstance(node, yaml.SequenceNode):
            total += sum(weight(value) for value in node.value)
        known[id(node)] = total
        if total > MOST_VALUES:
            raise LimitExceeded(f"The description '{name}' stands for more than {MOST_VALUES:,} values (a YAML bomb).")
        return total

    if root is not None:
        weight(root)
