"""OME-Zarr (and files to convert) -> lazy, tiled images."""

from noyau.sources.hcs import expand
from noyau.sources.omezarr import OmeZarrSource
from noyau.sources.opening import open_image

__all__ = ["OmeZarrSource", "expand", "open_image"]
