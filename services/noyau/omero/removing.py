"""Deleting by explicit ids, after a dry run has shown that nothing else would go with them.

A delete in OMERO takes along what hangs on its target, other people's annotations and ROIs included. So each delete is
tried out first, and refused as a whole where the server's list names anything of value that is not on ours.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from noyau.domain.errors import FailedPrecondition, InternalError, Unavailable
from noyau.omero import queries
from noyau.omero.bindings import omero_library
from noyau.omero.line import Line

_GUARDED = (
    "Annotation",
    "Roi",
    "Image",
    "Dataset",
    "Project",
    "Plate",
    "Screen",
    "Well",
    "Fileset",
    "Experimenter",
    "ExperimenterGroup",
)
"""Kinds that must be on our list; the rest (shapes, links, channels, thumbnails, ...) is part of something."""
_POLL_FIRST = 0.01
_POLL_LAST = 0.5


def remove(line: Line, targets: Mapping[str, Sequence[int]]) -> None:
    """Deletes what the ids name, all or nothing per kind and batch; nothing for empty lists.

    Args:
        line: the connection.
        targets: `Roi`, `Annotation`, `OriginalFile` or `Image` -> ids, all of them made by us.

    Raises:
        FailedPrecondition: something of others would be deleted as well; nothing was.
    """
    for kind, ids in targets.items():
        for part in queries.batches(sorted(set(ids))):
            would = _submit(line, kind, part, dry_run=True)
            refuse_strangers(kind, would, targets)
            _submit(line, kind, part, dry_run=False)


def require_ours(line: Line, targets: Mapping[str, Sequence[int]]) -> None:
    """Raises FailedPrecondition where deleting the targets would take something of others; deletes nothing."""
    for kind, ids in targets.items():
        for part in queries.batches(sorted(set(ids))):
            refuse_strangers(kind, _submit(line, kind, part, dry_run=True), targets)


def refuse_strangers(kind: str, would: Mapping[str, Sequence[int]], ours: Mapping[str, Sequence[int]]) -> None:
    """Raises FailedPrecondition where a delete of `kind` would take something of value that is not on the list `ours`.

    Args:
        kind: what is to be deleted.
        would: ids by Java class, as the server's dry run lists them.
        ours: ids by kind.
    """
    for name, ids in would.items():
        short = name.rpartition(".")[2]
        base = "Annotation" if short.endswith("Annotation") else short
        strangers = sorted(set(ids) - set(ours.get(base, ()))) if base in _GUARDED else []
        if strangers:
            raise FailedPrecondition(
                f"Removing Noyau's {kind} {sorted(ours[kind])[:5]} would also delete {short} {strangers[:5]}, "
                "which Noyau did not make; nothing was removed.",
                "Remove or move these first, if they are not needed.",
            )


def _submit(line: Line, kind: str, ids: Sequence[int], *, dry_run: bool) -> dict[str, list[int]]:
    omero = omero_library()
    request = omero.cmd.Delete2()
    request.targetObjects = {kind: list(ids)}
    # Annotations that others attached to ours stay.
    request.childOptions = [omero.cmd.graphs.ChildOption(excludeType=["Annotation"])]
    request.dryRun = dry_run
    handle = line.factory.submit(request)
    try:
        response = _wait(handle, line)
    finally:
        handle.close()
    if isinstance(response, omero.cmd.ERR):
        said = (response.parameters or {}).get("message") or response.name
        raise InternalError(f"OMERO did not delete {kind} {list(ids)[:5]}: {str(said).splitlines()[0][:300]}.")
    return {name: [int(i) for i in found] for name, found in (response.deletedObjects or {}).items()}


def _wait(handle: Any, line: Line) -> Any:
    pause = _POLL_FIRST
    give_up = time.monotonic() + line.call_seconds
    while (response := handle.getResponse()) is None:
        if time.monotonic() > give_up:
            raise Unavailable("OMERO did not finish a delete in time.", "Try again later.")
        time.sleep(pause)
        pause = min(2 * pause, _POLL_LAST)
    return response
