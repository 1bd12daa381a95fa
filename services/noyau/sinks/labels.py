"""Writes a label image: into a hidden group first, visible in one step when it is complete."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import numpy as np
import tensorstore as ts

from noyau.domain.access import AccessPolicy
from noyau.domain.errors import InvalidInput, NoyauError, OutOfRange
from noyau.domain.geometry import Box, Index3, as_index
from noyau.domain.image import ImageInfo
from noyau.sinks.colours import image_label
from noyau.sinks.levels import LabelLevel, PyramidLevel, image_steps, label_multiscale, plan_label_levels
from noyau.sinks.target import Target, require_free
from noyau.storage.arrays import create_array, open_array, plan_chunks
from noyau.storage.conformance import require_conformant
from noyau.storage.consolidated import refresh
from noyau.storage.groups import NGFF_ZARR_FORMAT, read_group, update_listing, write_group
from noyau.storage.multiscale import Multiscale, build_multiscale, parse_multiscale
from noyau.storage.names import check_name
from noyau.storage.options import StorageOptions
from noyau.storage.pyramid import boxes, fill_level, read_box, reduce_first, volume_view, write_box
from noyau.storage.replacing import discard, swap
from noyau.storage.store import Store

LABEL_TYPE = np.dtype(np.uint32)


class LabelSink:
    """A label image under way. `write` and `read` are safe from several threads.

    Life: `create` -> `write` every unit of every time point -> `build_pyramid` -> `commit`; or `abort` at any time.
    A job that was killed calls `create` again with the same arguments: units that were written are still there
    (`resumed` is true), and a job killed after the switch finds `committed` true and only needs to call `commit` again.

    Attributes:
        uri: where the labels will be.
        shape: z/y/x voxels.
        times: number of time points of the array.
        unit: z/y/x of a chunk or shard: no two tasks may write into the same one.
        levels: of the pyramid.
        resumed: an earlier attempt of the same job left its units.
        committed: an earlier attempt of the same job made the labels visible already.
    """

    def __init__(
        self,
        target: Target,
        name: str,
        job: str,
        like: ImageInfo,
        levels: tuple[LabelLevel, ...],
        multiscale: Multiscale,
        committed: bool,
        overwrite: bool,
    ) -> None:
        self._target = target
        self._name = name
        self._job = job
        self._overwrite = overwrite
        self._multiscale = multiscale
        self._axes = multiscale.axes.names
        self._folder = f"labels/{name}" if committed else f"labels/.{name}.{job}.partial"
        self._made: list[str] = []
        self._arrays: list[ts.TensorStore] = []
        self.committed = committed
        self.resumed = committed
        self.uri = target.store.locate(f"labels/{name}")
        self.shape = like.shape
        self.times = like.times if "t" in self._axes else 1
        self.levels = levels
        shape = self._stored(like.shape)
        chunk, shard = plan_chunks(shape, self._axes, zarr_format=NGFF_ZARR_FORMAT[target.version])
        self._chunk, self._shard = chunk, shard
        at = [self._axes.find(axis) for axis in "zyx"]
        self.unit: Index3 = as_index((shard or chunk)[i] if i >= 0 else 1 for i in at)

    @classmethod
    def create(
        cls,
        target: str,
        name: str,
        *,
        like: ImageInfo,
        access: AccessPolicy,
        job: str,
        image: str | None = None,
        level: int = 0,
        overwrite: bool = False,
        levels: Sequence[PyramidLevel] | None = None,
    ) -> LabelSink:
        """Prepares the hidden group, or finds that of an earlier attempt of the same job.

        Args:
            target: the image, or another group for its results (made when absent).
            name: label group.
            like: the level that was segmented: labels get its shape, axes without c, and NGFF version.
            access: where results may be written.
            job: id of the job (no dots); names the hidden group.
            image: the image, when `target` is another place.
            level: which level of the image `like` is.
            overwrite: replace labels of this name; they stay until `commit`.
            levels: shapes and factors of the pyramid, finest first; None follows the image's own pyramid.

        Raises:
            AlreadyExists, FailedPrecondition, InvalidInput, LimitExceeded, PermissionRefused.
        """
        check_name(name)
        if not job or "." in job or "/" in job:
            raise InvalidInput(f"The job id '{job}' cannot be part of a file name.")
        place = Target.open(target, access=access, image=image)
        committed = require_free(place, "labels", name, overwrite=overwrite, job=job)
        source = read_group(Store(place.image, StorageOptions.of(access)))
        multiscale = parse_multiscale(source.ngff, place.image) if source else None
        if levels is None:
            planned = plan_label_levels(like.shape, image_steps(multiscale, level, like))
        else:
            planned = plan_label_levels(like.shape, _steps(levels))
        made = label_multiscale(multiscale, level, like, planned, name)
        sink = cls(place, name, job, like, planned, made, committed, overwrite)
        sink._prepare()
        return sink

    def units(self) -> tuple[Box, ...]:
        """The chunks (or shards) of one time point, in raster order."""
        return tuple(boxes(self.shape, self.unit))

    def write(self, box: Box, labels: np.ndarray, *, time: int = 0) -> None:
        """Stores a box of labels; returns when they are on the disk. Writing a unit again changes nothing.

        Args:
            box: whole units (cut at the border of the image), within `shape`.
            labels: uint32 (or integers that fit), z/y/x.
            time: time point.

        Raises:
            OutOfRange: the box lies outside the image or not on units.
            LimitExceeded: the disk is full.
        """
        self._require_units(box)
        if labels.shape != box.shape:
            raise InvalidInput(f"Labels of shape {labels.shape} were given for a box of shape {box.shape}.")
        write_box(self._view(0, time), box, labels.astype(LABEL_TYPE, copy=False), self.uri)

    def read(self, box: Box, *, time: int = 0, level: int = 0) -> np.ndarray:
        """Labels of a box that were written, uint32 z/y/x."""
        return read_box(self._view(level, time), box, self.uri)

    def clear(self, time: int) -> None:
        """Stores zeros for a time point that is not segmented, so that readers find no missing chunks."""
        for box in self.units():
            self.write(box, np.zeros(box.shape, LABEL_TYPE), time=time)

    def build_pyramid(self, check: Callable[[], None] = lambda: None) -> None:
        """Fills the coarser levels from the finest; `check` is called before every box and raises to stop."""
        for number in range(1, len(self.levels)):
            fill_level(
                self._arrays[number - 1],
                self._arrays[number],
                self._axes,
                self.levels[number].step,
                reduce_first,
                unit=self.unit,
                what=self.uri,
                check=check,
            )

    def commit(self, provenance: Mapping[str, Any] | None = None, *, labels: Collection[int] = ()) -> str:
        """Makes the labels visible: metadata, then the switch, and last the listing in `labels`.

        Args:
            provenance: stored with the group under `noyau`.
            labels: numbers of the objects, for colours and properties (left out when there are very many).

        Returns:
            the URI of the label group.

        Raises:
            AlreadyExists: another job made labels of this name visible in the meantime.
        """
        if not self.committed:
            # Another job may have written labels of this name in the meantime.
            require_free(self._target, "labels", self._name, overwrite=self._overwrite, job=self._job)
            version = self._target.version
            entry = build_multiscale(self._multiscale, version, "nearest")
            require_conformant(entry, version)
            ngff = {"multiscales": [entry], "image-label": image_label(labels, version, self._source_path())}
            ours = {"job": self._job, "provenance": dict(provenance or {})}
            write_group(self._target.store, self._folder, version, ngff, noyau=ours)
            swap(self._room(), self._partial(), self._name, tag=self._job)
            self.committed = True
        else:
            discard(self._room(), self._name, tag=self._job)
        update_listing(self._target.store, "labels", self._target.version, add=self._name)
        refresh(self._target.store, ("labels",))
        return self.uri

    def abort(self) -> None:
        """Removes everything that this sink wrote and is not committed; earlier labels of the name stay."""
        if self.committed:
            return
        with suppress(NoyauError):  # called while another error is on its way: that one is the one to tell
            discard(self._room(), self._name, tag=self._job)
            self._target.prune(self._made)

    def _room(self) -> Store:
        return self._target.store.child("labels")

    def _partial(self) -> str:
        return f".{self._name}.{self._job}.partial"

    def _source_path(self) -> str:
        return "../../" if self._target.image == self._target.uri else self._target.image

    def _stored(self, volume: Index3, chunk: bool = False) -> tuple[int, ...]:
        sizes = dict(zip("zyx", volume, strict=True))
        return tuple(sizes.get(axis, self.times if axis == "t" and not chunk else 1) for axis in self._axes)

    def _view(self, level: int, time: int) -> ts.TensorStore:
        if not 0 <= time < self.times:
            raise OutOfRange(f"Time point {time} does not exist in '{self.uri}', which has {self.times}.")
        return volume_view(self._arrays[level], self._axes, time, 0)

    def _require_units(self, box: Box) -> None:
        inside = Box.of(self.shape).contains(box) and box.voxels > 0
        starts = all(a % u == 0 for a, u in zip(box.start, self.unit, strict=True))
        stops = all(b % u == 0 or b == n for b, u, n in zip(box.stop, self.unit, self.shape, strict=True))
        if not (inside and starts and stops):
            raise OutOfRange(f"Box {box.start}-{box.stop} does not consist of whole units {self.unit} of {self.shape}.")

    def _prepare(self) -> None:
        if self.committed or self._reopen():
            self._arrays = [self._open(i) for i in range(len(self.levels))]
            self.resumed = True
            return
        try:
            self._target.store.remove(self._folder)
            self._made = self._target.create_room("labels")
            self._arrays = [self._create(i) for i in range(len(self.levels))]
            ours = {"job": self._job, "made": self._made, "plan": self._signature()}
            write_group(self._target.store, self._folder, self._target.version, {}, noyau=ours)
        except BaseException:
            self.abort()
            raise

    def _reopen(self) -> bool:
        """Whether an earlier attempt of this job left arrays of the same plan."""
        group = self._target.group(self._folder)
        ours = group.attributes.get("noyau") if group else None
        if not isinstance(ours, dict) or ours.get("plan", self._signature()) != self._signature():
            return False
        self._made = list(ours.get("made") or [])
        return True

    def _signature(self) -> dict[str, Any]:
        shapes = [list(self._stored(level.shape)) for level in self.levels]
        return {"axes": self._axes, "shapes": shapes, "unit": list(self.unit)}

    def _open(self, number: int) -> ts.TensorStore:
        return open_array(self._target.store, f"{self._folder}/{number}", writable=True)

    def _create(self, number: int) -> ts.TensorStore:
        shape = self._stored(self.levels[number].shape)
        return create_array(
            self._target.store,
            f"{self._folder}/{number}",
            zarr_format=NGFF_ZARR_FORMAT[self._target.version],
            shape=shape,
            dtype=LABEL_TYPE,
            chunk=self._chunk,
            shard=self._shard,
            names=list(self._axes),
        )


def _steps(levels: Sequence[PyramidLevel]) -> list[Index3]:
    pairs = pairwise(levels)
    return [as_index(b // a for a, b in zip(fine.factor, coarse.factor, strict=True)) for fine, coarse in pairs]
