"""Taking back what a job wrote beside an image and did not finish."""

from __future__ import annotations

from collections.abc import Collection

from noyau.domain.access import AccessPolicy
from noyau.sinks.target import ROOMS, Target
from noyau.storage.replacing import discard


def remove_staging(
    target: str, name: str, job: str, access: AccessPolicy, *, image: str | None, rooms: Collection[str] = ROOMS
) -> None:
    """Removes a job's hidden groups and what was made for them; earlier results that were set aside come back.

    Args:
        target: the image, or the group of its own that takes the results.
        name: label group.
        job: id of the job.
        access: where may be written.
        image: the image; None where the target stands alone.
        rooms: groups of the target to look in.
    """
    place = Target.open(target, access=access, image=image)
    touched = []
    for room in rooms:
        folders = place.store.folders(room)
        if any(folder.startswith(f".{name}.{job}.") for folder in folders):
            discard(place.store.child(room), name, tag=job)
            touched.append(room)
    made_by_us = place.exists and (group := place.group("")) is not None and "noyau" in group.attributes
    place.prune([*touched, *([""] if made_by_us and touched else [])])
