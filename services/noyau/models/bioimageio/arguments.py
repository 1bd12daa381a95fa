"""Bounds on the arguments of a network that came from outside: classes loop as often as these numbers say."""

from __future__ import annotations

from typing import Any

from noyau.domain.errors import InvalidInput

LARGEST, LONGEST, DEEPEST = 8192, 64, 6


def check_arguments(values: Any, name: str, depth: int = 0) -> None:
    """Refuses anything but small plain values.

    Raises:
        InvalidInput: a number, text or list is too large, or it is nested too deeply.
    """
    fine = depth <= DEEPEST
    if isinstance(values, dict):
        fine = fine and len(values) <= LONGEST and all(isinstance(key, str) and len(key) <= LONGEST for key in values)
        children: list[Any] = list(values.values())
    elif isinstance(values, list | tuple):
        fine = fine and len(values) <= LONGEST
        children = list(values)
    else:
        children = []
        if isinstance(values, str):
            fine = fine and len(values) <= LONGEST
        elif isinstance(values, int | float) and not isinstance(values, bool):
            fine = fine and abs(values) <= LARGEST
        else:
            fine = fine and (values is None or isinstance(values, bool))
    if not fine:
        raise InvalidInput(f"The arguments of the network '{name[:60]}' are not acceptable: {str(values)[:80]}.")
    for child in children:
        check_arguments(child, name, depth + 1)
