"""Decoders that see one window of the prediction at a time.

Unlike the vote's, the objects that they find depend on the whole window: a watershed floods from afar, shapes suppress
each other in chains. A volume is therefore decoded in overlapping windows whose objects are joined where they agree
(see `noyau.assembly.stitching`), and the result says so.

The prediction is the quantised one of the house (see `noyau.inference.backend`): a byte per voxel and channel, first
the probabilities, then the regressed quantities as signed bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from noyau.decoding.border import BorderDecoder
from noyau.decoding.flow import FlowDecoder
from noyau.decoding.foreground import ForegroundDecoder
from noyau.decoding.star import StarDecoder
from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import Index3

LOCAL = ("vote",)
"""Decoders whose objects depend on a bounded neighbourhood: exact whatever the windows."""


class WindowDecoder(Protocol):
    """A decoder with its parameters, which are its fields.

    Attributes:
        foreground: probability threshold.
        min_voxels: smallest object kept.
        overlap: z/y/x by which neighbouring windows should overlap, voxels: about the largest nucleus.
    """

    @property
    def foreground(self) -> float: ...

    @property
    def min_voxels(self) -> int: ...

    @property
    def overlap(self) -> Index3: ...

    @property
    def planes(self) -> int:
        """Channels of the quantised prediction."""
        ...

    def decode(self, prediction: np.ndarray) -> np.ndarray:
        """Objects of a window.

        Args:
            prediction: uint8 (planes, Z, Y, X).

        Returns:
            Labels int32 (Z, Y, X), 0 is background, 1..n in no particular order, perhaps with gaps.
        """
        ...


DECODERS: Mapping[str, type[Any]] = MappingProxyType(
    {"border": BorderDecoder, "star": StarDecoder, "flow": FlowDecoder, "foreground": ForegroundDecoder}
)


def window_decoder(name: str, parameters: Mapping[str, Any]) -> WindowDecoder:
    """The decoder of a name with the parameters of a model package.

    Raises:
        InvalidInput: there is no such decoder, or the parameters do not fit.
    """
    if name not in DECODERS:
        known = ", ".join(sorted((*LOCAL, *DECODERS)))
        raise InvalidInput(f"There is no decoder '{name}'.", f"Known are: {known}.")
    kind = DECODERS[name]
    unknown = sorted(set(parameters) - {f.name for f in fields(kind)})
    if unknown:
        raise InvalidInput(f"The decoder '{name}' has no parameter '{unknown[0]}'.")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in parameters.items()}
    try:
        decoder: WindowDecoder = kind(**values)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"The parameters of the decoder '{name}' do not fit: {error}.") from error
    return decoder
