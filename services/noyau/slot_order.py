"""What `noyau worker` tells each of its processes."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class SlotOrder:
    """What the parent tells a slot.

    Attributes:
        settings: as JSON text.
        device: `cpu` or `cuda`; the parent shows a slot one GPU only.
        hands: threads for decoding and writing.
        name: of the slot, for people.
    """

    settings: str
    device: str
    hands: int
    name: str


def slot_name(number: int) -> str:
    """Names a slot by its host and its parent."""
    return f"{socket.gethostname()}-{os.getpid()}-{number}"
