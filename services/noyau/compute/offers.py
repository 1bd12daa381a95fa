"""What a worker offers and what an order demands, in the words of Dask's resources.

A scheduler gives a task only to workers that offer all of its resources. Besides the device (`GPU` or `CPU`, one per
process) and the hands (threads for decoding and writing) a worker offers its version, its scratch and its libraries in
amounts that never run out. So a worker of another version, or one that sees another scratch, gets no task of ours,
whenever it joins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

GPU, CPU, HANDS = "GPU", "CPU", "HANDS"
PLENTY = 1e6


@dataclass(frozen=True)
class Offer:
    """One worker process.

    Attributes:
        name: host and process, for messages.
        version: of its software.
        scratch: mark of the scratch folder that it sees.
        gpu: whether its network runs on a GPU.
        backends: libraries that can run networks on its device.
        hands: orders that need no device which it does at a time.
    """

    name: str
    version: str
    scratch: str
    gpu: bool
    backends: tuple[str, ...]
    hands: int

    @property
    def resources(self) -> dict[str, float]:
        """What the scheduler is told."""
        tags = (_version(self.version), _scratch(self.scratch), *(_backend(name) for name in self.backends))
        return {GPU if self.gpu else CPU: 1.0, HANDS: float(self.hands), **dict.fromkeys(tags, PLENTY)}

    def to_json(self) -> dict[str, Any]:
        """For the scheduler's description of the worker."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Offer:
        """What `to_json` gave, possibly with fields of a later version."""
        known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        return cls(**{**known, "backends": tuple(known.get("backends", ()))})


@dataclass(frozen=True)
class Demand:
    """What the orders of one job need, the same for all of them so that all give the same bits.

    Attributes:
        version: of this software.
        scratch: mark of the scratch folder.
        gpu: whether networks run on GPUs.
        backend: library that runs the networks.
    """

    version: str
    scratch: str
    gpu: bool
    backend: str

    def resources(self, device: bool) -> dict[str, float]:
        """Of an order that needs the device, or only hands."""
        own = {GPU if self.gpu else CPU: 1.0, _backend(self.backend): 1.0} if device else {HANDS: 1.0}
        return {**own, _version(self.version): 1.0, _scratch(self.scratch): 1.0}

    def is_met(self, offer: Offer) -> bool:
        """Whether a worker can take orders that need the device."""
        return all(offer.resources.get(name, 0) >= amount for name, amount in self.resources(device=True).items())


def _version(version: str) -> str:
    return f"noyau {version}"


def _scratch(mark: str) -> str:
    return f"scratch {mark}"


def _backend(name: str) -> str:
    return f"backend {name}"
