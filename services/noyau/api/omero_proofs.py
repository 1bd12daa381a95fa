"""Session keys of OMERO that were confirmed a moment ago, so that OMERO is not asked with every call."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict

from noyau.api.ports import Desk
from noyau.api.rates import TooFast
from noyau.api.threads import Threads

_KEEP_SECONDS = 60.0
"""How long a session that ended in OMERO still counts here."""
_MOST = 10_000
_MOST_WAITING = 32
"""Keys that are asked about or wait for it. Made-up ones must not take the places of all other calls."""


class OmeroProofs:
    """Use it inside one event loop, and call `close`.

    Args:
        desk: asks OMERO.
        threads: how many are asked about at once. They are not those of other calls: whoever sends made-up keys
            keeps only others waiting who send keys.
    """

    def __init__(self, desk: Desk, threads: int = 2) -> None:
        self._desk = desk
        self._threads = Threads(threads)
        self._waiting = 0
        self._known: OrderedDict[str, tuple[float, tuple[str, str]]] = OrderedDict()

    async def identify(self, alias: str, key: str) -> tuple[str, str]:
        """Owner and home group, see `OmeroDesk.identify`. The key itself is not kept, only its digest.

        Raises:
            TooFast: too many are being asked about.
        """
        digest = hashlib.sha256(f"{alias}\0{key}".encode()).hexdigest()
        found = self._known.get(digest)
        if found is not None and found[0] > time.monotonic():
            return found[1]
        if self._waiting >= _MOST_WAITING:
            raise TooFast(
                f"{self._waiting} sessions of OMERO are being confirmed, which is the limit.", "Try again in 5 s.", 5.0
            )
        self._waiting += 1
        try:
            answer = await self._threads.run(self._desk.identify, alias, key)
        finally:
            self._waiting -= 1
        self._known[digest] = (time.monotonic() + _KEEP_SECONDS, answer)
        self._known.move_to_end(digest)
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
        return answer

    def close(self) -> None:
        self._threads.close()
