"""Pixels and masks are those of the usual ways (omero-py's getTiles, omero-rois), and complete where these are not."""

from __future__ import annotations

import numpy as np
import pytest
from noyau.bench.omero_ways import plane_of_disks
from noyau.omero.masks import volume_masks
from noyau.omero.pixels import decode, encode, stored_type

pytest.importorskip("Ice", reason="the client of OMERO is not installed")
pytest.importorskip("omero_rois", reason="omero-rois, which is compared with, is not installed")


@pytest.mark.parametrize("kind", ["uint8", "int16", "uint16", "int32", "uint32", "float", "double"])
def test_tiles_are_those_of_get_tiles(kind: str) -> None:
    from noyau.omero.usual import usual_tiles

    dtype = stored_type(kind)
    pixels = np.random.default_rng(3).integers(0, 120, (24, 24)).astype(dtype.newbyteorder("=")) * 200 // 3
    buffer = encode(pixels, dtype)
    (usual,) = usual_tiles(buffer, kind, 24, 1)
    assert (decode(buffer, dtype, pixels.shape) == usual).all()


def test_masks_are_those_of_omero_rois_and_none_is_lost_in_row_or_column_0() -> None:
    from noyau.omero.usual import usual_masks

    labels = plane_of_disks(200, 5)
    found, usual = dict(volume_masks(labels)), dict(usual_masks(labels))
    assert set(found) == set(np.unique(labels[labels > 0]).tolist())
    assert all(found[number] == (mask,) for number, mask in usual.items())
    lost = set(found) - set(usual)
    assert lost
    for number in lost:
        rows, columns = np.nonzero(labels == number)
        assert not rows.any() or not columns.any()
        (mask,) = found[number]
        painted = np.zeros(labels.shape, bool)
        painted[mask.y : mask.y + mask.height, mask.x : mask.x + mask.width] = mask.pixels
        assert (painted == (labels == number)).all()
