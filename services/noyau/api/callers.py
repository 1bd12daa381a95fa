"""Who calls, as far as that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def caller_name(context: Any, claimed: str) -> str:
    """The name in the caller's certificate where it showed one (mutual TLS), else what it says of itself."""
    known: Mapping[str, Sequence[bytes]] = context.auth_context() or {}
    names = known.get("x509_common_name", ())
    return names[0].decode(errors="replace") if names else claimed
