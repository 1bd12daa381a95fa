"""Axis orders of stored images: any order of a subset of t, c, z, y, x that holds y and x."""

from __future__ import annotations

from dataclasses import dataclass

from noyau.domain.errors import InvalidInput

KNOWN_AXES = "tczyx"


@dataclass(frozen=True)
class Axes:
    """An axis order such as `tczyx`, `zyx`, `cyx` or `yxc`."""

    names: str

    def __post_init__(self) -> None:
        unknown = sorted(set(self.names) - set(KNOWN_AXES))
        if unknown or len(set(self.names)) != len(self.names) or not {"y", "x"} <= set(self.names):
            raise InvalidInput(
                f"Axes '{self.names}' cannot be read as an image.",
                "Axes are an order of t, c, z, y, x without repetition and with at least y and x.",
            )

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def index(self, name: str) -> int:
        """Position of an axis; raises InvalidInput when the image does not have it."""
        if name not in self.names:
            raise InvalidInput(f"The image has no {name} axis (its axes are {self.names}).")
        return self.names.index(name)

    def size(self, shape: tuple[int, ...], name: str) -> int:
        """Length of an axis, 1 where the image does not have it."""
        return int(shape[self.names.index(name)]) if name in self.names else 1
