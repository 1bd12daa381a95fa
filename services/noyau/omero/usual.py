"""The usual ways to pixels and masks in OMERO, to compare with: omero-py's `getTiles`, and the package omero-rois.

Both run as they are, on bytes and labels that lie in memory; nothing here needs a server.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from noyau.domain.errors import FailedPrecondition
from noyau.omero.bindings import omero_library
from noyau.omero.masks import PlaneMask


class _Memory:
    """A RawPixelsStore whose tiles are all the same bytes."""

    def __init__(self, buffer: bytes) -> None:
        self._buffer = buffer

    def getTile(self, z: int, c: int, t: int, x: int, y: int, width: int, height: int) -> bytes:
        """The bytes."""
        return self._buffer

    def close(self) -> None: ...


def usual_tiles(buffer: bytes, kind: str, edge: int, count: int) -> Iterator[np.ndarray]:
    """Tiles as `PixelsWrapper.getTiles` of omero-py makes them.

    Args:
        buffer: what a RawPixelsStore returned for a tile.
        kind: OMERO's name of the pixel type.
        edge: of the square tile.
        count: how many tiles.
    """
    omero = omero_library()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in `omero_library`
        from omero.gateway import PixelsWrapper

    class Wrapper(PixelsWrapper):  # type: ignore[misc]
        """Pixels that need no server."""

        def _prepareRawPixelsStore(self) -> _Memory:
            return _Memory(buffer)

    found = omero.model.PixelsI()
    wanted = omero.model.PixelsTypeI()
    wanted.setValue(omero.rtypes.rstring(kind))
    found.setPixelsType(wanted)
    for name in ("SizeX", "SizeY"):
        getattr(found, f"set{name}")(omero.rtypes.rint(edge))
    tiles: Any = Wrapper(None, found).getTiles([(0, 0, 0, (0, 0, edge, edge))] * count)
    yield from tiles


def usual_masks(labels: np.ndarray) -> list[tuple[int, PlaneMask]]:
    """Masks of a plane of labels as omero-rois makes them, with the number of their object; some may be missing.

    Args:
        labels: integers (height, width).

    Raises:
        FailedPrecondition: omero-rois is not installed.
    """
    omero_library()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from omero_rois import masks_from_label_image
    except ImportError as error:
        raise FailedPrecondition(
            "The package omero-rois, which is compared with, is not installed.", "pip install --no-deps omero-rois"
        ) from error
    made = masks_from_label_image(labels, raise_on_no_mask=False)
    return [(number, _plane_mask(mask)) for number, mask in enumerate(made, start=1) if mask.getWidth().getValue() > 0]


def _plane_mask(mask: Any) -> PlaneMask:
    y, x, height, width = (int(getattr(mask, f"get{name}")().getValue()) for name in ("Y", "X", "Height", "Width"))
    return PlaneMask(0, y, x, height, width, bytes(mask.getBytes()))
