"""Channels by index or by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from noyau.domain.errors import InvalidInput, NotFound, OutOfRange


def channel_names(ngff: Mapping[str, Any], count: int) -> tuple[str, ...]:
    """Names from the `omero` metadata, made unique; the index where there is no name.

    Args:
        ngff: NGFF attributes of the image.
        count: number of channels of the array, which wins over the metadata.
    """
    omero = ngff.get("omero")
    listed = omero.get("channels") if isinstance(omero, Mapping) else None
    entries = listed if isinstance(listed, list) else []
    labels = []
    for index in range(count):
        entry = entries[index] if index < len(entries) and isinstance(entries[index], Mapping) else {}
        label = entry.get("label")
        labels.append(label if isinstance(label, str) else "")
    return unique_names(labels)


def unique_names(labels: Sequence[str]) -> tuple[str, ...]:
    """Channel names that differ: the index where a label is blank, and added to one that was there before."""
    names: list[str] = []
    for index, label in enumerate(labels):
        name = label.strip() or str(index)
        names.append(name if name not in names else f"{name}-{index}")
    return tuple(names)


def channel_index(channel: int | str | None, names: tuple[str, ...], where: str) -> int:
    """The index of a channel given by index or name; None means the first.

    Raises:
        NotFound: no channel has this name (the known ones are listed).
        OutOfRange: no channel has this index.
        InvalidInput: the name differs from several only by case.
    """
    if channel is None:
        return 0
    known = ", ".join(f"{i} '{name}'" if name != str(i) else name for i, name in enumerate(names))
    if isinstance(channel, str):
        if channel in names:
            return names.index(channel)
        alike = [i for i, name in enumerate(names) if name.lower() == channel.strip().lower()]
        if len(alike) == 1:
            return alike[0]
        if alike:
            raise InvalidInput(f"Channel '{channel}' of '{where}' is ambiguous; its channels are {known}.")
        if not channel.strip().isdigit():
            raise NotFound(f"Channel '{channel}' does not exist in '{where}'; its channels are {known}.")
        channel = int(channel)
    if not 0 <= channel < len(names):
        raise OutOfRange(f"Channel {channel} does not exist in '{where}'; its channels are {known}.")
    return channel
