"""What an image gets: masks within the budget, and what replaces them above it."""

from __future__ import annotations

import pytest
from noyau.omero.budget import RoiBudget, plan_rois

BUDGET = RoiBudget(rois=10, shapes=30, points=50)


@pytest.mark.parametrize(
    ("wanted", "image", "objects", "shapes", "kind", "label_image", "told"),
    [
        ("auto", "auto", 10, 30, "masks", False, False),
        ("auto", "auto", 11, 11, "points", True, True),
        ("auto", "auto", 5, 31, "points", True, True),
        ("auto", "auto", 51, 51, "none", True, True),
        ("auto", "never", 51, 51, "none", False, True),
        ("auto", "always", 1, 1, "masks", True, False),
        ("polygons", "auto", 10, 30, "polygons", True, False),
        ("polygons", "never", 10, 30, "polygons", False, False),
        ("points", "auto", 50, 900, "points", True, False),
        ("none", "auto", 5, 5, "none", True, False),
        ("auto", "auto", 0, 0, "masks", False, False),
        ("none", "auto", 0, 0, "none", False, False),
        ("auto", "zarr", 5, 5, "masks", False, False),
        ("auto", "zarr", 51, 51, "none", False, True),
    ],
)
def test_what_is_written(
    wanted: str, image: str, objects: int, shapes: int, kind: str, label_image: bool, told: bool
) -> None:
    plan = plan_rois(wanted, image, objects, shapes, BUDGET)
    assert (plan.kind, plan.label_image, bool(plan.message)) == (kind, label_image, told)


def test_the_message_says_what_is_there_instead() -> None:
    message = plan_rois("auto", "auto", 11, 11, BUDGET).message
    assert "11 nuclei" in message
    assert message.endswith("they are saved as a label image and centre points.")
    zarr = plan_rois("auto", "zarr", 11, 11, BUDGET).message
    assert zarr.endswith("they are saved as labels in the OME-Zarr and centre points.")
    assert plan_rois("auto", "never", 99, 99, BUDGET).message.endswith("no ROIs are saved.")
