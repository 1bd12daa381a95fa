"""Pixels of one image by blocks: fetched over a few connections at once, kept while they are likely to be read again.

Whole planes travel faster than small tiles, and tiles of the network overlap, so what is fetched is a grid of blocks of
whole planes (tiles where planes are large), each one once while it is in the cache. Blocks that follow those just read
are fetched ahead, which keeps the connections busy while the caller computes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import prod

import numpy as np

from noyau.domain.geometry import Box, Index3, as_index
from noyau.omero.line import Line
from noyau.omero.pixels import decode
from noyau.omero.session import Session

PLANE_BYTES = 32 * 2**20
"""Planes up to this size are fetched whole."""
BLOCK_BYTES = 8 * 2**20
"""Small planes are put together to blocks of about this size."""
TILE = 1024
"""Edge of a tile of a large plane."""
CACHE_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Level:
    """One resolution level of an image's pixels.

    Attributes:
        pixels: id of the pixels.
        level: 0 is the finest.
        shape: z/y/x.
        dtype: big-endian, as it travels.
        levels: how many there are.
    """

    pixels: int
    level: int
    shape: Index3
    dtype: np.dtype[np.generic]
    levels: int

    @property
    def block(self) -> Index3:
        """z/y/x of the blocks that are fetched."""
        plane = self.shape[1] * self.shape[2] * self.dtype.itemsize
        if plane > PLANE_BYTES:
            return (1, min(TILE, self.shape[1]), min(TILE, self.shape[2]))
        # A pyramid is read plane by plane; hypercubes are for pixels that are stored as one array.
        depth = 1 if self.levels > 1 else max(1, BLOCK_BYTES // plane)
        return (min(depth, self.shape[0]), self.shape[1], self.shape[2])


Key = tuple[int, int, int, int, int]
"""Time, channel, and the block's place in the grid."""


class BlockReader:
    """Reads boxes of one level. Safe to use from several threads.

    Args:
        session: where the image is read.
        level: what is read.
        what: for messages, e.g. `reading Image:12`.
        cache_bytes: memory for blocks.
    """

    def __init__(self, session: Session, level: Level, what: str, cache_bytes: int = CACHE_BYTES) -> None:
        self._session = session
        self._level = level
        self._what = what
        self._grid = as_index(-(-n // b) for n, b in zip(level.shape, level.block, strict=True))
        self._most = max(2, cache_bytes // (prod(level.block) * level.dtype.itemsize))
        self._window = max(1, min(2 * session.server.calls, self._most - 1))
        self._ahead = min(session.server.calls, self._most // 2)
        self._blocks: OrderedDict[Key, Future[np.ndarray]] = OrderedDict()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(session.server.calls, "noyau-omero-read")

    def read(self, box: Box, time: int, channel: int) -> np.ndarray:
        """Pixels of a box inside the level, z/y/x, native endian."""
        result = np.empty(box.shape, self._level.dtype.newbyteorder("="))
        keys = [(time, channel, *place) for place in self._places(box)]
        for number, key in enumerate(keys):
            for coming in keys[number : number + self._window]:
                self._fetch(coming)
            where = self._box(key)
            part = where.intersection(box)
            block = self._fetch(key).result()
            result[part.relative_to(box.start).slices] = block[part.relative_to(where.start).slices]
        for key in self._following(keys[-1]) if keys else ():
            self._fetch(key)
        return result

    def close(self) -> None:
        """Forgets the blocks and closes the stores on the server."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        with self._lock:
            self._blocks.clear()
        self._session.each(lambda line: line.drop_pixels(self._level.pixels))

    def _fetch(self, key: Key) -> Future[np.ndarray]:
        with self._lock:
            if key in self._blocks:
                self._blocks.move_to_end(key)
                return self._blocks[key]
            future = self._blocks[key] = self._pool.submit(self._load, key)
            while len(self._blocks) > self._most:
                self._blocks.popitem(last=False)  # who waits for it holds it
        future.add_done_callback(lambda done: self._forget(key, done))
        return future

    def _forget(self, key: Key, done: Future[np.ndarray]) -> None:
        """A block that could not be fetched is tried again when it is asked for again."""
        if done.cancelled() or done.exception() is not None:
            with self._lock:
                if self._blocks.get(key) is done:
                    del self._blocks[key]

    def _load(self, key: Key) -> np.ndarray:
        return self._session.call(lambda line: self._get(line, key), self._what)

    def _get(self, line: Line, key: Key) -> np.ndarray:
        time, channel = key[0], key[1]
        box, level = self._box(key), self._level
        depth, height, width = box.shape
        store = line.pixels(level.pixels, level.level)
        if depth > 1:
            origin = [box.start[2], box.start[1], box.start[0], channel, time]
            buffer = store.getHypercube(origin, [width, height, depth, 1, 1], [1] * 5)
        elif (height, width) == level.shape[1:] and level.levels == 1:
            buffer = store.getPlane(box.start[0], channel, time)
        else:
            buffer = store.getTile(box.start[0], channel, time, box.start[2], box.start[1], width, height)
        return decode(buffer, level.dtype, box.shape)

    def _box(self, key: Key) -> Box:
        start = as_index(i * b for i, b in zip(key[2:], self._level.block, strict=True))
        stop = as_index(a + b for a, b in zip(start, self._level.block, strict=True))
        return Box(start, stop).clipped(self._level.shape)

    def _places(self, box: Box) -> Iterator[Index3]:
        first = [a // b for a, b in zip(box.start, self._level.block, strict=True)]
        last = [-(-a // b) for a, b in zip(box.stop, self._level.block, strict=True)]
        for z in range(first[0], last[0]):
            for y in range(first[1], last[1]):
                for x in range(first[2], last[2]):
                    yield (z, y, x)

    def _following(self, key: Key) -> list[Key]:
        """The next blocks in raster order, of the same time point and channel."""
        _, rows, columns = self._grid
        number = (key[2] * rows + key[3]) * columns + key[4]
        coming = range(number + 1, min(number + 1 + self._ahead, prod(self._grid)))
        return [(key[0], key[1], n // (rows * columns), n // columns % rows, n % columns) for n in coming]


def read_level(line: Line, pixels: int, dtype: np.dtype[np.generic], shape: Index3, level: int) -> Level | None:
    """The description of a resolution level; None where the image does not have it.

    One pixel is read, so that what cannot be read now (a pyramid that is still being made, a file that is gone) is
    told before any work.

    Args:
        line: the connection.
        pixels: id of the pixels.
        dtype: big-endian.
        shape: z/y/x of the finest level.
        level: 0 is the finest.
    """
    store = line.pixels(pixels)
    count = int(store.getResolutionLevels())
    if not 0 <= level < count:
        return None
    store.getTile(0, 0, 0, 0, 0, 1, 1)
    if count == 1:
        return Level(pixels, level, shape, dtype, count)
    size = store.getResolutionDescriptions()[level]
    return Level(pixels, level, (shape[0], int(size.sizeY), int(size.sizeX)), dtype, count)
