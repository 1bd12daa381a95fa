"""Pixels from OMERO and masks for it: Noyau's way against omero-py's `getTiles` and omero-rois, on the same bytes."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from noyau.bench.networks import mean_seconds
from noyau.bench.rows import Row
from noyau.bench.setting import Setting, row
from noyau.omero.masks import volume_masks
from noyau.omero.pixels import decode, encode, stored_type
from noyau.omero.usual import usual_masks, usual_tiles

EDGE = 2048
TILE = 1024
SIDE = 45
RADIUS = 13
LEAST_SECONDS = 1.0
MEGABYTE = 1e6


def bench_omero(setting: Setting) -> list[Row]:
    """Decoding of tiles, and encoding of 2,025 masks of a plane of 2048 x 2048 pixels, one thread each.

    Raises:
        FailedPrecondition: omero-py, the Ice runtime or omero-rois is not installed.
    """
    setting.reporter.stage("OMERO: tiles")
    rows = _tiles()
    setting.reporter.check()
    setting.reporter.stage("OMERO: masks")
    return [*rows, *_masks(plane_of_disks())]


def plane_of_disks(edge: int = EDGE, side: int = SIDE) -> np.ndarray:
    """Disks in rows, `side` squared of them; of some at the border only one pixel in row 0 or column 0 is left.

    Such are what a crop cuts off, and what omero-rois loses.
    """
    rows, columns = np.ogrid[-RADIUS : RADIUS + 1, -RADIUS : RADIUS + 1]
    disk = rows**2 + columns**2 <= RADIUS**2
    pad = 2 * RADIUS
    labels = np.zeros((edge + 2 * pad, edge + 2 * pad), np.uint32)
    middles = np.linspace(RADIUS, edge - 1 - RADIUS, side).astype(int)
    for number, (y, x) in enumerate(((y, x) for y in middles for x in middles), start=1):
        if number % 2:  # cut off, where they are the first of their row or column
            y, x = (-RADIUS if v == RADIUS else v for v in (y, x))
        if (y, x) != (-RADIUS, -RADIUS):  # nothing would be left in the corner
            labels[y + RADIUS : y + 3 * RADIUS + 1, x + RADIUS : x + 3 * RADIUS + 1][disk] = number
    return labels[pad : pad + edge, pad : pad + edge]


def _tiles() -> list[Row]:
    pixels = np.random.default_rng(0).integers(0, 2**16, (TILE, TILE)).astype(np.uint16)
    dtype = stored_type("uint16")
    buffer = encode(pixels, dtype)
    ours = mean_seconds(lambda: decode(buffer, dtype, pixels.shape), 2, LEAST_SECONDS)
    theirs = mean_seconds(lambda: list(usual_tiles(buffer, "uint16", TILE, 1)), 2, LEAST_SECONDS)
    size = len(buffer) / MEGABYTE
    note = f"uint16 tiles of {TILE} x {TILE}, from bytes to array, 1 thread"
    return [
        row("omero", "tiles, noyau", size / ours, "MB/s", note),
        row("omero", "tiles, omero-py getTiles", size / theirs, "MB/s", note),
        row("omero", "tiles, ratio", theirs / ours, "x", note),
    ]


def _masks(labels: np.ndarray) -> list[Row]:
    ours = mean_seconds(lambda: list(volume_masks(labels)), 2, LEAST_SECONDS)
    begin = perf_counter()
    theirs = dict(usual_masks(labels))
    seconds = perf_counter() - begin
    found = dict(volume_masks(labels))
    same = sum(found[number][0].data == mask.data for number, mask in theirs.items())
    note = f"{len(found):,} objects in {labels.shape[0]} x {labels.shape[1]}, {same:,} masks equal"
    return [
        row("omero", "masks, noyau", ours, "s", note),
        row("omero", "masks, omero-rois", seconds, "s", f"{len(found) - len(theirs)} objects in row or column 0 lost"),
        row("omero", "masks, ratio", seconds / ours, "x", note),
    ]
