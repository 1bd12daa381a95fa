"""Names of things in OMERO: `omero://alias/image/123`, optionally with `?c=DAPI&t=0-4&level=0`.

The alias stands for a server in the settings; hosts, ports and credentials never appear in a reference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from noyau.domain.errors import InvalidInput
from noyau.domain.image import ImageRef

SCHEME = "omero://"
KINDS = ("project", "dataset", "screen", "plate", "well", "image")
"""What can be named as a target of a job; all but `image` are sets of images."""
RESULTS = ("annotation", "file", "roi")
"""What else a result may point to."""
_PATH = re.compile(r"omero://(?P<alias>[A-Za-z0-9_][A-Za-z0-9_.-]{0,62})/(?P<kind>[a-z]+)/(?P<id>[0-9]{1,18})/?")
_REMEDY = "Write for example omero://alias/image/123 or omero://alias/dataset/5?c=DAPI&t=0-4&level=0."


@dataclass(frozen=True)
class OmeroUri:
    """A thing in OMERO.

    Attributes:
        alias: of the server.
        kind: `image`, or a set of images: `project`, `dataset`, `screen`, `plate`, `well`; `annotation`, `file` and
            `roi` name results.
        id: database id, from 1.
    """

    alias: str
    kind: str
    id: int

    def __str__(self) -> str:
        return f"{SCHEME}{self.alias}/{self.kind}/{self.id}"

    @property
    def is_set(self) -> bool:
        """True where it may mean many images."""
        return self.kind in KINDS and self.kind != "image"

    @property
    def title(self) -> str:
        """As people write it, e.g. `Image:123`."""
        return f"{self.kind.capitalize()}:{self.id}"


def is_omero(uri: str) -> bool:
    """Whether a URI names something in OMERO."""
    return uri[: len(SCHEME)].lower() == SCHEME


def parse_omero(uri: str) -> OmeroUri:
    """The thing that a URI names, whatever its query selects.

    Raises:
        InvalidInput: it is not of the form `omero://alias/kind/id`, or of an unknown kind.
    """
    match = _PATH.fullmatch(SCHEME + uri.partition("?")[0][len(SCHEME) :]) if is_omero(uri) else None
    if match is None or int(match["id"]) < 1:
        raise InvalidInput(f"'{uri}' names nothing in OMERO.", _REMEDY)
    if match["kind"] not in (*KINDS, *RESULTS):
        raise InvalidInput(f"'{uri}' names an unknown kind '{match['kind']}'.", f"Known are {', '.join(KINDS)}.")
    return OmeroUri(match["alias"], match["kind"], int(match["id"]))


def select(ref: ImageRef) -> ImageRef:
    """The reference with its query turned into channel, time and level; a URI without query stays as it is.

    Raises:
        InvalidInput: an unknown or repeated word in the query, a value that is none, or one that contradicts the
            selection that was made beside the URI.
    """
    found = parse_omero(ref.uri)
    query = ref.uri.partition("?")[2]
    words = parse_qsl(query, keep_blank_values=True)
    if query and (not words or len({name for name, _ in words}) != len(words)):
        raise InvalidInput(f"The selection '?{query}' of {found} cannot be read.", _REMEDY)
    chosen = replace(ref, uri=str(found))
    for name, value in words:
        chosen = _apply(chosen, name, value)
    return chosen


def _apply(ref: ImageRef, name: str, value: str) -> ImageRef:
    if name == "c" and value:
        channel = int(value) if value.isascii() and value.isdigit() else value
        _agree(ref, name, ref.channel in (None, channel))
        return replace(ref, channel=channel)
    if name == "t" and (match := re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", value)):
        time = (int(match[1]), int(match[2] or match[1]))
        _agree(ref, name, ref.time in (None, time))
        return replace(ref, time=time)
    if name == "level" and re.fullmatch(r"[0-9]{1,3}", value):
        _agree(ref, name, ref.level in (0, int(value)))
        return replace(ref, level=int(value))
    raise InvalidInput(f"The selection '{name}={value}' of {ref.uri} cannot be read.", _REMEDY)


def _agree(ref: ImageRef, name: str, agrees: bool) -> None:
    if not agrees:
        raise InvalidInput(
            f"The selection '{name}' of {ref.uri} contradicts the one that is given beside it.", "Give only one."
        )
