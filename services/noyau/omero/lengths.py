"""Physical lengths of OMERO in micrometres. Source: the OME data model's UnitsLength and the SI prefixes."""

from __future__ import annotations

from noyau.domain.geometry import VoxelSize

_METRES = {
    "YOTTAMETER": 1e24,
    "ZETTAMETER": 1e21,
    "EXAMETER": 1e18,
    "PETAMETER": 1e15,
    "TERAMETER": 1e12,
    "GIGAMETER": 1e9,
    "MEGAMETER": 1e6,
    "KILOMETER": 1e3,
    "HECTOMETER": 1e2,
    "DECAMETER": 1e1,
    "METER": 1.0,
    "DECIMETER": 1e-1,
    "CENTIMETER": 1e-2,
    "MILLIMETER": 1e-3,
    "MICROMETER": 1e-6,
    "NANOMETER": 1e-9,
    "PICOMETER": 1e-12,
    "FEMTOMETER": 1e-15,
    "ATTOMETER": 1e-18,
    "ZEPTOMETER": 1e-21,
    "YOCTOMETER": 1e-24,
    "ANGSTROM": 1e-10,
    "THOU": 2.54e-5,
    "LINE": 2.54e-2 / 12,
    "INCH": 2.54e-2,
    "FOOT": 0.3048,
    "YARD": 0.9144,
    "MILE": 1609.344,
    "POINT": 2.54e-2 / 72,
}


def micrometres(value: float | None, unit: str | None) -> float | None:
    """A length in micrometres; None where there is none or its unit (pixels, reference frame) is no length.

    Args:
        value: the number.
        unit: name in UnitsLength, e.g. `NANOMETER`; None means micrometres, as in files of old.
    """
    if value is None or not value > 0:
        return None
    if unit in (None, "MICROMETER"):
        return float(value)
    metres = _METRES.get(str(unit))
    return None if metres is None else float(value) * metres * 1e6


def voxel_size(z: float | None, y: float | None, x: float | None, depth: int) -> VoxelSize | None:
    """Voxel size from lengths in micrometres; None where the image does not know what it needs.

    Args:
        z, y, x: lengths in micrometres.
        depth: number of planes; a single plane needs no z and gets 1.
    """
    if y is None or x is None or (z is None and depth > 1):
        return None
    return VoxelSize(1.0 if z is None else z, y, x)
