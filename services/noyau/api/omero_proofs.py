"""Session keys of OMERO that were confirmed a moment ago, so that OMERO is not asked with every call."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict

from noyau.api.ports import Desk
from noyau.api.threads import Threads

_KEEP_SECONDS = 60.0
"""How long a session that ended in OMERO still counts here."""
_MOST = 10_000


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
        self._known: OrderedDict[str, tuple[float, tuple[str, str]]] = OrderedDict()

    async def identify(self, alias: str, key: str) -> tuple[str, str]:
        """Owner and home group, see `OmeroDesk.identify`. The key itself is not kept, only its digest."""
        digest = hashlib.sha256(f"{alias}\0{key}".encode()).hexdigest()
        found = self._known.get(digest)
        if found is not None and found[0] > time.monotonic():
            return found[1]
        answer = await self._threads.run(self._desk.identify, alias, key)
        self._known[digest] = (time.monotonic() + _KEEP_SECONDS, answer)
        self._known.move_to_end(digest)
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
        return answer

    def close(self) -> None:
        self._threads.close()
