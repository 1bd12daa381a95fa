"""Names of groups that we make."""

from __future__ import annotations

import re

from noyau.domain.errors import InvalidInput

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}")


def check_name(name: str) -> str:
    """A name that can be a Zarr group and a file name everywhere.

    Raises:
        InvalidInput: it is not.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"'{name}' cannot be the name of a label group.",
            "Use letters, digits, '_', '-' and '.', at most 100 of them.",
        )
    return name
