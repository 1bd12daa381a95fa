"""How many ROIs an image can bear, and what is written instead where there are more.

OMERO.iviewer loads ROIs in pages of 500, fetches each mask with a request of its own and draws it pixel by pixel;
150,000 of them did not load in ten minutes. So there is a budget, and above it the label image carries the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from noyau.domain.jobs import LabelImage, Rois


@dataclass(frozen=True)
class RoiBudget:
    """The most that one image gets.

    Attributes:
        rois: objects with masks or polygons.
        shapes: masks or polygons over all planes.
        points: objects with a centre point.
    """

    rois: int = 2_000
    shapes: int = 20_000
    points: int = 20_000


@dataclass(frozen=True)
class RoiPlan:
    """What is written for one image.

    Attributes:
        kind: `masks`, `polygons`, `points` or `none`.
        label_image: also write the label image.
        message: one sentence for the user where it is not what was asked for, else empty.
    """

    kind: Literal["masks", "polygons", "points", "none"]
    label_image: bool
    message: str = ""


def plan_rois(wanted: Rois, image: LabelImage, objects: int, shapes: int, budget: RoiBudget) -> RoiPlan:
    """Decides what an image gets.

    Args:
        wanted: kind of ROI; `auto` means masks.
        image: whether a label image is wanted; `auto` means only where ROIs do not show every pixel, `zarr` that the
            labels are written elsewhere.
        objects: number of objects.
        shapes: number of masks (or polygons) over all planes, at least; an upper bound is fine.
        budget: the most that one image gets.
    """
    kind: Literal["masks", "polygons", "points", "none"] = "masks" if wanted == "auto" else wanted
    message = ""
    if kind in ("masks", "polygons") and (objects > budget.rois or shapes > budget.shapes):
        message = (
            f"{objects:,} nuclei in {shapes:,} {kind} are more than a viewer can show "
            f"({budget.rois:,} in {budget.shapes:,}); "
        )
        kind = "points"
    if kind == "points" and objects > budget.points:
        message = message or f"{objects:,} nuclei are more than a viewer can show as points ({budget.points:,}); "
        kind = "none"
    label_image = image == "always" or (image == "auto" and objects > 0 and kind != "masks")
    if message:
        instead = ["a label image"] if label_image else ["labels in the OME-Zarr"] if image == "zarr" else []
        instead += ["centre points"] if kind == "points" else []
        message += f"they are saved as {' and '.join(instead)}." if instead else "no ROIs are saved."
    return RoiPlan(kind, label_image, message)
