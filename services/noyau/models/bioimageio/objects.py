"""How the output of another maker's network becomes objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from noyau.domain.errors import InvalidInput

FOREGROUND, BORDER, LABELS = "foreground", "border", "labels"

_FOREGROUND = ("foreground", "nucle", "cell", "interior", "inside", "object", "prob", "mask")
_BORDER = ("border", "bound", "edge", "contour", "outline", "membrane")
_NOTHING = ("background",)


@dataclass(frozen=True)
class ObjectRule:
    """What the channels of an output mean.

    Attributes:
        kind: `foreground`: above the threshold is nucleus, and connected voxels are one; `border`: seeds are what is
            foreground and not border, and grow over the foreground by watershed; `labels`: the output names objects.
        output: which output of the network, counted from 0.
        foreground: its channel.
        border: channel of the border, for `border`.
        threshold: of the foreground probability.
    """

    kind: str
    output: int = 0
    foreground: int = 0
    border: int | None = None
    threshold: float = 0.5

    def checked(self, channels: int) -> ObjectRule:
        """The rule, if it fits an output of so many channels.

        Raises:
            InvalidInput: it does not.
        """
        if self.kind not in (FOREGROUND, BORDER, LABELS):
            raise InvalidInput(f"The kind of output '{self.kind}' is unknown.", "Take foreground, border or labels.")
        if not 0 < self.threshold < 1:
            raise InvalidInput(f"The foreground threshold {self.threshold} is not between 0 and 1.")
        used = [self.foreground] + ([] if self.border is None else [self.border])
        if any(not 0 <= channel < channels for channel in used):
            raise InvalidInput(f"The output has {channels} channels, and channel {max(used)} was asked for.")
        if (self.kind == BORDER) != (self.border is not None) or self.border == self.foreground:
            raise InvalidInput("A border model needs one channel for the foreground and another one for the border.")
        return self


def guess_rule(channels: Sequence[str], is_integer: bool, about: str) -> ObjectRule:
    """The rule for one output, from what its description says.

    Args:
        channels: names of its channels; one for an output without channel axis.
        is_integer: whether its values are whole numbers after the post-processing.
        about: its id and its description.

    Raises:
        InvalidInput: the description does not tell; the message says how the caller can.
    """
    names = [name.lower() for name in channels]
    text = f"{about} {' '.join(names)}".lower()
    if len(names) == 1:
        if is_integer and ("label" in text or "instance" in text):
            return ObjectRule(LABELS)
        return ObjectRule(FOREGROUND)
    borders = [i for i, name in enumerate(names) if any(word in name for word in _BORDER)]
    empty = [i for i, name in enumerate(names) if any(word in name for word in _NOTHING)]
    fronts = [
        i
        for i, name in enumerate(names)
        if i not in borders and i not in empty and any(word in name for word in _FOREGROUND)
    ]
    if len(fronts) == 1 and len(borders) == 1:
        return ObjectRule(BORDER, foreground=fronts[0], border=borders[0])
    if len(fronts) == 1 and not borders:
        return ObjectRule(FOREGROUND, foreground=fronts[0])
    raise InvalidInput(
        f"The description does not say which of the output's channels ({', '.join(channels)}) is the foreground.",
        "Say so: --foreground N, and --border M for a model that marks borders (channels count from 0).",
    )
