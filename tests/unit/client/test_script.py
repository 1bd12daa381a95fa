"""What the scripts of the OMERO.web menu get back: a sentence, and a link that OMERO.web opens."""

from __future__ import annotations

from datetime import UTC, datetime

from noyau.client.script import Outcome, Teller
from noyau.domain.jobs import Event, EventKind


def test_the_link_shows_the_images_in_their_order() -> None:
    outcome = Outcome("Found 3 nuclei.", images=("omero://lab/image/7", "omero://lab/image/3"))
    assert outcome.link == {
        "type": "URL",
        "href": "?show=image-7|image-3",
        "title": "Show the images in OMERO.web",
    }


def test_there_is_no_link_to_what_omero_does_not_have() -> None:
    assert Outcome("Nothing.").link is None
    assert Outcome("Elsewhere.", images=("/data/a.ome.zarr",)).link is None


def test_a_link_stays_short_enough_for_a_browser() -> None:
    link = Outcome("Many.", images=tuple(f"omero://lab/image/{n}" for n in range(1, 5000))).link
    assert link is not None and len(link["href"]) < 2000


def test_progress_is_told_in_tenths_with_stages_and_messages() -> None:
    said: list[str] = []
    teller = Teller(said.append)

    def happen(kind: EventKind, **payload: object) -> None:
        teller(Event("a1", 1, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), kind, payload))

    happen(EventKind.STATE, state="RUNNING")
    happen(EventKind.STAGE, name="predict")
    for done in range(41):
        happen(EventKind.PROGRESS, stage="predict", done=done, total=40, unit="tile")
    happen(EventKind.LOG, level="warning", message="No voxel size.")
    happen(EventKind.PROGRESS, stage="save", done=0, total=0, unit="ROI")
    assert said[0] == "03:04:05 predict"
    assert said[1:11] == [f"03:04:05 predict: {4 * n} of 40 tiles" for n in range(1, 11)]
    assert said[11:] == ["No voxel size."]
