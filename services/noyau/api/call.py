"""A call as the servicers see it: what gRPC tells of it, and who makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from noyau.domain.principal import Principal


@dataclass(frozen=True)
class Call:
    """The context of a call that has passed the gate.

    Attributes:
        context: of gRPC.
        caller: who calls.
    """

    context: Any
    caller: Principal

    def invocation_metadata(self) -> Any:
        """What the caller sent beside the request."""
        return self.context.invocation_metadata()

    def auth_context(self) -> Any:
        """What TLS tells of the caller."""
        return self.context.auth_context()
