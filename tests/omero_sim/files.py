"""The bytes of OriginalFiles, and what is left on disk of deleted rows."""

from __future__ import annotations

from pathlib import Path

from omero_sim.pixel_data import PixelData
from omero_sim.records import Record


class Files:
    """Bytes that belong to rows.

    Args:
        folder: Where they are.
        pixels: The values of pixels, which go with their rows too.
    """

    def __init__(self, folder: Path, pixels: PixelData) -> None:
        self._folder = folder
        self._pixels = pixels
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, number: int) -> Path:
        """Where the bytes of an OriginalFile are, or will be."""
        return self._folder / str(number)

    def discard(self, record: Record) -> None:
        """The row is gone."""
        if record.entity == "OriginalFile":
            self.path(record.id).unlink(missing_ok=True)
        elif record.entity == "Pixels":
            self._pixels.discard(record.id)
