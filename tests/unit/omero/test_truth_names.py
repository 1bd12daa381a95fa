"""Which ROIs are meant where an image has results of several names and what people drew."""

from __future__ import annotations

from noyau.omero.runs import ZARR_PART, Run
from noyau.omero.truth import of_name

OURS = Run("a1", "nuclei").part("ROIs 0 shapes 2")
OTHERS = Run("b2", "others").part("ROIs 0 shapes 1")
REFERENCE = Run("a1", "nuclei").part(f"{ZARR_PART} shapes 1")
ROIS = [(1, "nucleus 1", OURS), (2, "nucleus 1", OTHERS), (3, None, None), (4, "mine", "drawn by hand")]


def test_results_of_other_names_are_left_out_where_there_are_some_of_the_name() -> None:
    assert of_name(ROIS, "nuclei") == [(1, "nucleus 1"), (3, None), (4, "mine")]
    assert of_name(ROIS, "others") == [(2, "nucleus 1"), (3, None), (4, "mine")]


def test_everything_is_meant_where_there_is_nothing_of_the_name() -> None:
    everything = [(number, name) for number, name, _ in ROIS]
    assert of_name(ROIS, "elsewhere") == everything
    assert of_name(ROIS, None) == everything


def test_a_roi_that_only_points_to_zarr_labels_outlines_nothing() -> None:
    assert of_name([(9, "labels in the OME-Zarr", REFERENCE)], "nuclei") == []
