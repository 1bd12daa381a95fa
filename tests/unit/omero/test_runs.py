"""Texts by which our things in OMERO are known, and what is never taken for ours."""

from __future__ import annotations

import pytest
from noyau.domain.caller import OmeroUser, is_omero_owner
from noyau.domain.errors import FailedPrecondition
from noyau.domain.omero_uri import OmeroUri
from noyau.omero.inventory import Belongings
from noyau.omero.removing import refuse_strangers
from noyau.omero.rois import packed_colour
from noyau.omero.runs import Run, run_of
from noyau.omero.tables import text_width

IMAGE = OmeroUri("lab", "image", 12)


def test_a_run_is_read_back_from_its_descriptions() -> None:
    run = Run("0a1b2c", "my_nuclei.v2")
    assert run_of(run.tag) == run_of(run.part("ROIs 3")) == run_of(run.image_description(IMAGE)) == run


@pytest.mark.parametrize(
    "text", [None, "", "noyau run", "noyau run x", "about noyau run a/b", "noyau run a b/c", "nucleus"]
)
def test_what_others_wrote_is_not_ours(text: str | None) -> None:
    assert run_of(text) is None


def test_files_tell_their_image_and_run() -> None:
    assert Run("0a1b", "nuclei").file_name(IMAGE, "objects.csv") == "noyau-image-12-nuclei-objects-0a1b.csv"


def test_a_delete_that_takes_something_of_others_is_refused() -> None:
    ours = {"Roi": [1, 2]}
    refuse_strangers("Roi", {"ome.model.roi.Roi": [1, 2], "ome.model.roi.Mask": [7, 8]}, ours)
    refuse_strangers("Roi", {"ome.model.annotations.RoiAnnotationLink": [5]}, ours)
    with pytest.raises(FailedPrecondition, match=r"CommentAnnotation \[9\]"):
        refuse_strangers("Roi", {"ome.model.annotations.CommentAnnotation": [9]}, ours)
    with pytest.raises(FailedPrecondition, match=r"Roi \[3\]"):
        refuse_strangers("Image", {"ome.model.roi.Roi": [3]}, {"Image": [4]})
    refuse_strangers("Annotation", {"ome.model.annotations.MapAnnotation": [4]}, {"Annotation": [4]})


def test_an_owner_holds_server_and_user_and_no_secret() -> None:
    user = OmeroUser("lab", "a:b c")
    assert OmeroUser.of(user.owner) == user
    assert is_omero_owner(user.owner)
    assert OmeroUser.of("alice") is None
    assert OmeroUser.of("omero:lab") is None


def test_colours_are_signed_numbers() -> None:
    assert packed_colour((255, 0, 0, 255)) == -16776961
    assert packed_colour((0, 0, 1, 128)) == 384


def test_texts_are_as_wide_as_their_bytes() -> None:
    assert text_width(["a", "äö"]) == 4
    assert text_width([]) == text_width([""]) == 1


def test_nothing_is_nothing() -> None:
    assert Belongings().is_empty
    assert not Belongings(files=(3,)).is_empty
