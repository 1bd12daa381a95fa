"""OME-Zarr (and files to convert) -> lazy, tiled images."""
