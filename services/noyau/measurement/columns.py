"""The dictionary of the table's columns: what each one means and in which unit. The tables follow its order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from noyau.domain.errors import InvalidInput


@dataclass(frozen=True)
class Column:
    """One column: name (with its unit), what it means, unit (empty for ratios) and numpy type."""

    name: str
    description: str
    unit: str = ""
    dtype: str = "float64"


_LABEL = (Column("label", "value of the object in the label image", dtype="int64"),)
_COUNT_3D = (
    Column("voxels", "number of voxels", "voxel", "int64"),
    Column("volume_um3", "number of voxels times the volume of one", "um3"),
    Column("equivalent_radius_um", "radius of the sphere of that volume", "um"),
    Column("surface_um2", "surface: smoothed marching cubes that enclose the counted volume", "um2"),
    Column("sphericity_nucleusj", "36 pi V^2 / S^3 (NucleusJ's sphericity, TANGO's compactness); 1 for a ball"),
    Column("sphericity", "cube root of 36 pi V^2 / S^3 (Wadell); 1 for a ball"),
    Column("elongation", "sqrt(l1 / l2), with l1 >= l2 >= l3 the eigenvalues of the covariance of the voxels"),
    Column("flatness", "sqrt(l2 / l3)"),
    Column("ellipsoid_radius1_um", "sqrt(5 l1), longest half axis of the ellipsoid of the same moments", "um"),
    Column("ellipsoid_radius2_um", "sqrt(5 l2), middle half axis", "um"),
    Column("ellipsoid_radius3_um", "sqrt(5 l3), shortest half axis", "um"),
    Column("major_axis_z", "z component of the unit vector along the longest axis (in micrometre space)"),
    Column("major_axis_y", "y component of that vector"),
    Column("major_axis_x", "x component of that vector"),
    Column("azimuth_deg", "angle of the longest axis in the xy plane, from x towards y", "degree"),
    Column("elevation_deg", "angle of the longest axis out of the xy plane, positive towards +z", "degree"),
    Column("convex_volume_um3", "volume of the convex hull of the surface (512 directions)", "um3"),
    Column("solidity", "volume inside the surface over the volume of its convex hull"),
    Column("feret_max_um", "longest distance between two points of the surface", "um"),
)
_COUNT_2D = (
    Column("pixels", "number of pixels", "pixel", "int64"),
    Column("area_um2", "number of pixels times the area of one", "um2"),
    Column("equivalent_radius_um", "radius of the circle of that area", "um"),
    Column("perimeter_um", "length of the outline: smoothed marching squares that enclose the counted area", "um"),
    Column("circularity", "4 pi A / P^2; 1 for a disc"),
    Column("elongation", "sqrt(l1 / l2), with l1 >= l2 the eigenvalues of the covariance of the pixels"),
    Column("ellipse_radius1_um", "2 sqrt(l1), longer half axis of the ellipse of the same moments", "um"),
    Column("ellipse_radius2_um", "2 sqrt(l2), shorter half axis", "um"),
    Column("orientation_deg", "angle of the longer axis, from x towards y", "degree"),
    Column("convex_area_um2", "area of the convex hull of the outline", "um2"),
    Column("solidity", "area inside the outline over the area of its convex hull"),
    Column("feret_max_um", "longest distance between two points of the outline", "um"),
)
_INTENSITY = (
    Column("intensity_mean_{}", "mean intensity of the object in channel {}"),
    Column("intensity_sd_{}", "standard deviation of the intensity (population)"),
    Column("intensity_min_{}", "lowest intensity"),
    Column("intensity_max_{}", "highest intensity"),
    Column("intensity_median_{}", "median intensity"),
    Column("intensity_sum_{}", "sum of the intensity over the object"),
    Column(
        "background_mean_{}",
        "mean of the unlabelled voxels in the bounding box widened by 2.5 um that are more than 0.8 um away from any "
        "object; where there are none, the median of the other objects' values",
    ),
    Column("background_sd_{}", "standard deviation of these voxels"),
    Column("intensity_integrated_{}", "sum of the intensity above the background mean (DNA content for a DNA stain)"),
    Column("snr_{}", "(mean - background mean) / background standard deviation"),
)

TIME = Column("time", "time point, from 0; in tables of images with several", "", "int64")
CERTAINTY = Column(
    "certainty",
    "how sure the network is of the object: mean over its voxels of the probability of being nucleus, 0 to 1; 1 where "
    "a model of another maker gives labels instead of probabilities. In tables of a segmentation, not of labels that "
    "were measured alone",
)


def columns_for(ndim: int, channels: Sequence[str] = ()) -> tuple[Column, ...]:
    """All columns of a table, in order.

    Args:
        ndim: 2 or 3.
        channels: channel suffixes as given by `suffixes`.
    """
    shape = _COUNT_3D if ndim == 3 else _COUNT_2D
    intensity = tuple(
        Column(c.name.format(channel), c.description.format(channel), "", c.dtype)
        for channel in channels
        for c in _INTENSITY
    )
    return _LABEL + shape + _places(ndim) + _surroundings(ndim) + intensity


def suffixes(channels: Sequence[str]) -> dict[str, str]:
    """Column suffix of each channel: its name with anything but letters, digits and underscores replaced.

    Raises:
        InvalidInput: two channels cannot be told apart that way.
    """
    names = {channel: re.sub(r"\W+", "_", channel).strip("_") or "channel" for channel in channels}
    if len(set(names.values())) != len(channels):
        raise InvalidInput(
            f"The channel names {', '.join(map(repr, channels))} give the same column names.", "Rename the channels."
        )
    return names


def _places(ndim: int) -> tuple[Column, ...]:
    axes = "zyx"[-ndim:]
    um = [Column(f"centroid_{a}_um", f"centroid along {a}; the centre of voxel 0 is at 0", "um") for a in axes]
    voxel = [Column(f"centroid_{a}_voxel", f"centroid along {a} as a voxel index", "voxel") for a in axes]
    bounds = [
        Column(f"bbox_{a}_{end}_voxel", f"bounding box along {a}: {what}", "voxel", "int64")
        for a in axes
        for end, what in (("start", "first voxel"), ("stop", "last voxel + 1"))
    ]
    edges = [
        Column(f"bbox_{a}_{end}_um", f"bounding box along {a}: outer edge of its {what} voxel", "um")
        for a in axes
        for end, what in (("start", "first"), ("stop", "last"))
    ]
    return (*um, *voxel, *bounds, *edges)


def _surroundings(ndim: int) -> tuple[Column, ...]:
    contact = (
        Column("contact_area_um2", "area of the voxel faces shared with other objects", "um2")
        if ndim == 3
        else Column("contact_length_um", "length of the pixel edges shared with other objects", "um")
    )
    unit = "mm3" if ndim == 3 else "mm2"
    return (
        Column(
            "sampling_step", "1, or n where the object is so large that only every n-th voxel was read", "", "int64"
        ),
        Column("touches_border", "the object reaches the border of the image, so it may be cut", "", "bool"),
        Column("touching_neighbours", "number of objects that share a voxel face with it", "", "int64"),
        contact,
        Column("nearest_distance_um", "distance to the next centroid", "um"),
        Column("nearest5_distance_um", "mean distance to the five next centroids (or as many as there are)", "um"),
        Column(
            f"local_density_per_{unit}",
            "objects per volume: k / ball that reaches the k-th neighbour, k = 5",
            f"1/{unit}",
        ),
    )
