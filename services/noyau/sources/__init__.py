"""OME-Zarr (and files to convert) -> lazy, tiled images."""

from noyau.sources.hcs import expand
from noyau.sources.labels import LabelSource, list_labels, open_labels
from noyau.sources.omezarr import OmeZarrSource
from noyau.sources.opening import open_image

__all__ = ["LabelSource", "OmeZarrSource", "expand", "list_labels", "open_image", "open_labels"]
