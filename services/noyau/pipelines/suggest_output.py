"""The folder of suggestions: crops with the labels to correct, the ranked table, and a picture of all of them."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from noyau.domain.access import AccessPolicy
from noyau.domain.errors import AlreadyExists, FailedPrecondition, InvalidInput, LimitExceeded
from noyau.domain.geometry import VoxelSize
from noyau.pipelines.pair_files import save_zarr
from noyau.pipelines.suggest_crops import Crop
from noyau.training.suggestion_scores import Uncertainty

RECORD = "suggestions.json"
TABLE = "suggestions.csv"
PICTURE = "overview.png"
# Also the default label group of a training dataset.
LABELS = "nuclei"
_ZARR = ".ome.zarr"


@dataclass(frozen=True)
class Suggestion:
    """One crop that is worth annotating; rank 1 is the most useful. `file` is its name in the folder."""

    rank: int
    crop: Crop
    uncertainty: Uncertainty
    file: str

    def row(self) -> dict[str, Any]:
        """What the table and the record say of it."""
        z, y, x = self.crop.box.start
        depth, height, width = self.crop.box.shape
        known = self.uncertainty
        return {
            "rank": self.rank, "file": self.file, "image": self.crop.ref.uri, "channel": self.crop.ref.channel,
            "time": self.crop.time, "z": z, "y": y, "x": x, "depth": depth, "height": height, "width": width,
            "score": round(known.score, 4), "pixels": round(known.pixels, 4), "objects": round(known.objects, 4),
            "doubt": round(known.doubt, 4), "unseen": known.unseen, "nuclei": round(known.nuclei, 1),
        }  # fmt: skip


def name_of(rank: int, crop: Crop, whole: bool) -> str:
    """File name of a suggestion: its rank, its image, and where in the image it lies."""
    stem = crop.ref.uri.rstrip("/").rsplit("/", 1)[-1].removesuffix(".zarr").removesuffix(".ome")
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", stem)[:80] or "image"
    place = "" if whole else "_z{}_y{}_x{}".format(*crop.box.start)
    return f"{rank:03d}_{stem}_t{crop.time}{place}{_ZARR}"


class SuggestionFolder:
    """Fills a hidden folder, which takes the place of `target` at the end.

    Args:
        target: the folder to make.
        tag: of the job; its hidden folder is named by it.
        overwrite: replace suggestions that are there.
        access: where may be written.

    Raises:
        InvalidInput: the target is remote.
    """

    def __init__(self, target: str, tag: str, overwrite: bool, access: AccessPolicy) -> None:
        if "://" in target and not target.startswith("file://"):
            raise InvalidInput(f"Suggestions cannot be written to '{target}'.", "Name a local folder.")
        self.path = Path(access.check(target, write=True))
        self._access = access
        self._overwrite = overwrite
        self._partial = self.path.with_name(f".{self.path.name}.{tag}.partial")

    def write_crop(self, name: str, pixels: np.ndarray, labels: np.ndarray, voxel_size: VoxelSize | None) -> None:
        """Writes one crop with its labels, both z/y/x; what an earlier attempt wrote is replaced."""
        with _explained(self.path):
            self._partial.mkdir(parents=True, exist_ok=True)
        save_zarr(
            str(self._partial / name), pixels, labels, voxel_size,
            group=LABELS, ngff="0.5", overwrite=True, access=self._access,
        )  # fmt: skip

    def finish(self, suggestions: Sequence[Suggestion], record: dict[str, Any], picture: bytes) -> tuple[str, ...]:
        """Adds table, record and picture, puts the folder in its place, and says what it holds."""
        rows = [s.row() for s in suggestions]
        with _explained(self.path):
            self._partial.mkdir(parents=True, exist_ok=True)
            (self._partial / TABLE).write_text(_as_csv(rows))
            (self._partial / RECORD).write_text(json.dumps({**record, "suggestions": rows}, indent=1))
            (self._partial / PICTURE).write_bytes(picture)
            self.refuse_occupied()
            if self.path.exists():
                shutil.rmtree(self.path)
            self._partial.rename(self.path)
        names = [TABLE, RECORD, PICTURE, *(s.file for s in suggestions)]
        return tuple(str(self.path / name) for name in names)

    def discard(self) -> None:
        """Removes the hidden folder."""
        with suppress(OSError):
            shutil.rmtree(self._partial)

    def refuse_occupied(self) -> None:
        """Raises AlreadyExists where something is that may not be replaced."""
        if not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir())):
            return
        if not self._overwrite:
            raise AlreadyExists(
                f"'{self.path}' exists already.", "Choose another name, or replace it with --overwrite."
            )
        if not (self.path / RECORD).is_file():
            raise AlreadyExists(
                f"'{self.path}' is no folder of suggestions, and is left alone.", "Choose another name."
            )


class _explained:
    """Turns failures of the file system into errors that name the folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            if error.errno == 28:
                raise LimitExceeded(f"'{self._path}' cannot be written: {reason}.", "Make room.") from error
            raise FailedPrecondition(
                f"'{self._path}' cannot be written: {reason}.", "Name a place that can be written to."
            ) from error


def _as_csv(rows: Sequence[dict[str, Any]]) -> str:
    text = StringIO()
    names = list(rows[0]) if rows else ["rank", "file", "image", "score"]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
