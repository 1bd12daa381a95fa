"""What the scripts of the OMERO.web menu get back: a sentence, and a link that OMERO.web opens."""

from __future__ import annotations

from noyau.client.script import Outcome


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
