"""How much one caller may ask: calls per minute, and calls at once."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote

from noyau.domain.errors import LimitExceeded

_MOST_CALLERS = 10_000
"""More than that many are not kept apart from newcomers; a caller that is forgotten starts with a full allowance."""


class TooFast(LimitExceeded):
    """The caller's allowance is used up.

    Attributes:
        wait: seconds after which it may try again.
    """

    def __init__(self, cause: str, remedy: str = "", wait: float = 1.0) -> None:
        super().__init__(cause, remedy)
        self.wait = wait


@dataclass
class _Allowance:
    """Calls that a caller may make now, as of a time, and those that it is making."""

    left: float
    at: float
    running: int = 0


class Rates:
    """The allowances of all callers of this coordinator. Use it inside one event loop.

    Args:
        per_minute: calls that a caller may make in a minute, also all at once; None for no limit.
        at_once: calls of a caller, streams included, that may run at once; None for no limit.
        clock: seconds.
    """

    def __init__(
        self, per_minute: int | None = None, at_once: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_minute = per_minute
        self._at_once = at_once
        self._clock = clock
        self._callers: OrderedDict[str, _Allowance] = OrderedDict()

    @contextmanager
    def one_call(self, caller: str) -> Iterator[None]:
        """Counts a call while it runs.

        Args:
            caller: name or address; empty for one that is not limited.

        Raises:
            TooFast: it may not be made now.
        """
        if not caller:
            yield
            return
        allowance = self._of(caller)
        self._spend(allowance)
        allowance.running += 1
        try:
            yield
        finally:
            allowance.running -= 1

    def _of(self, caller: str) -> _Allowance:
        found = self._callers.get(caller)
        if found is None:
            self._forget_idle()
            found = self._callers[caller] = _Allowance(float(self._per_minute or 0), self._clock())
        self._callers.move_to_end(caller)
        return found

    def _spend(self, allowance: _Allowance) -> None:
        if self._at_once is not None and allowance.running >= self._at_once:
            raise TooFast(
                f"The caller has {allowance.running} calls open, which is the limit (`limits.calls_at_once`).",
                "End some of them, then try again.",
            )
        if self._per_minute is None:
            return
        now = self._clock()
        allowance.left = min(self._per_minute, allowance.left + (now - allowance.at) * self._per_minute / 60)
        allowance.at = now
        if allowance.left < 1:
            wait = (1 - allowance.left) * 60 / self._per_minute
            raise TooFast(
                f"The caller makes more than {self._per_minute} calls per minute (`limits.calls_per_minute`).",
                f"Try again in {math.ceil(wait)} s.",
                wait,
            )
        allowance.left -= 1

    def _forget_idle(self) -> None:
        """Makes room for a new caller: those who called longest ago go, except those who are calling."""
        if len(self._callers) < _MOST_CALLERS:
            return
        for name in [name for name, found in self._callers.items() if not found.running][: _MOST_CALLERS // 10]:
            del self._callers[name]


def host_of(peer: str) -> str:
    """The address in a `peer` of gRPC without its port; empty for this machine, which is not limited.

    Args:
        peer: `ipv4:10.0.0.7:1234`, `ipv6:%5B::1%5D:1234` or `unix:...`.
    """
    kind, _, rest = unquote(peer).partition(":")
    if kind not in ("ipv4", "ipv6"):
        return ""
    host = rest.rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return "" if address.is_loopback else host
