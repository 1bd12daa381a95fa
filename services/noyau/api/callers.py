"""Who calls, as far as that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def certified_name(context: Any) -> str:
    """The name in the certificate that the caller showed (mutual TLS); empty where it showed none."""
    known: Mapping[str, Sequence[bytes]] = context.auth_context() or {}
    names = known.get("x509_common_name", ())
    return names[0].decode(errors="replace") if names else ""
