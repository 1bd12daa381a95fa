"""RenderingEngine and ThumbnailStore: pictures of images as browsers show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import omero
from PIL import Image

from omero_sim.calls import Call
from omero_sim.errors import NotSimulated, api_usage
from omero_sim.pixel_data import TILE, Volume
from omero_sim.records import Record
from omero_sim.services.base import StatefulService
from omero_sim.services.pixels import DESCRIPTION
from omero_sim.services.query import load_with
from omero_sim.views import ChannelView, View, jpeg, view_of

THUMBNAIL = 96


class RenderingService(StatefulService):
    """One open image and how it is shown. Settings are kept for each image and user."""

    exclusive = False
    _pixels: Record | None = None
    _volume: Volume | None = None
    _quality = 0.85

    def lookupPixels(self, call: Call, number: int) -> None:
        """Opens the pixels."""
        self._pixels = call.readable("Pixels", number)
        self._volume = self.server.pixels.open(self._pixels)

    def lookupRenderingDef(self, call: Call, number: int) -> bool:
        """Whether there are settings for the pixels."""
        return self._key(call, number) in self.server.views

    def resetDefaultSettings(self, call: Call, save: bool) -> int:
        """Settings from the pixels themselves."""
        pixels, volume = self._opened()
        self.server.views[self._key(call, pixels.id)] = view_of(volume)
        return int(pixels.id)

    def loadRenderingDef(self, call: Call, number: int) -> None:
        """Uses the settings; there is one set."""

    def load(self, call: Call) -> None:
        """Nothing has to be prepared."""
        self._view(call)

    def getRenderingDefId(self, call: Call) -> int:
        """Id of the settings, which is that of the pixels."""
        return int(self._opened()[0].id)

    def getPixels(self, call: Call) -> Any:
        """The pixels with all that describes them."""
        return load_with(self, call, self._opened()[0], DESCRIPTION)

    def getDefaultZ(self, call: Call) -> int:
        """Plane that is shown first."""
        return self._view(call).z

    def getDefaultT(self, call: Call) -> int:
        """Time that is shown first."""
        return self._view(call).t

    def setDefaultZ(self, call: Call, z: int) -> None:
        """Changes the plane that is shown first."""
        self._view(call).z = z

    def setDefaultT(self, call: Call, t: int) -> None:
        """Changes the time that is shown first."""
        self._view(call).t = t

    def isActive(self, call: Call, channel: int) -> bool:
        """Whether a channel is shown."""
        return self._channel(call, channel).active

    def setActive(self, call: Call, channel: int, active: bool) -> None:
        """Shows or hides a channel."""
        self._channel(call, channel).active = active

    def getRGBA(self, call: Call, channel: int) -> list[int]:
        """Colour of a channel."""
        return list(self._channel(call, channel).colour)

    def setRGBA(self, call: Call, channel: int, red: int, green: int, blue: int, alpha: int) -> None:
        """Changes the colour of a channel."""
        self._channel(call, channel).colour = (red, green, blue, alpha)

    def getChannelWindowStart(self, call: Call, channel: int) -> float:
        """Value that is shown black."""
        return self._channel(call, channel).low

    def getChannelWindowEnd(self, call: Call, channel: int) -> float:
        """Value that is shown in full colour."""
        return self._channel(call, channel).high

    def setChannelWindow(self, call: Call, channel: int, low: float, high: float) -> None:
        """Changes the range that is shown."""
        view = self._channel(call, channel)
        view.low, view.high = low, high

    def getChannelLookupTable(self, call: Call, channel: int) -> str:
        """No tables of colours."""
        return ""

    def setChannelLookupTable(self, call: Call, channel: int, name: str) -> None:
        """Takes no table of colours but none."""
        if name:
            raise NotSimulated("RenderingEngine.setChannelLookupTable")

    def getChannelFamily(self, call: Call, channel: int) -> Any:
        """Values become brightness linearly."""
        return load_with(self, call, self.store.first("Family", value="linear"), {})

    def getChannelCurveCoefficient(self, call: Call, channel: int) -> float:
        """Values become brightness linearly."""
        return 1.0

    def getCodomainMapContext(self, call: Call, channel: int) -> list[Any]:
        """The reversal of a channel, if it is reversed."""
        return [omero.model.ReverseIntensityContextI()] if self._channel(call, channel).reversed else []

    def addCodomainMapToChannel(self, call: Call, change: Any, channel: int) -> None:
        """Reverses a channel."""
        self._reverse(call, change, channel, True)

    def removeCodomainMapFromChannel(self, call: Call, change: Any, channel: int) -> None:
        """A channel is no longer reversed; nothing happens when it was not."""
        self._reverse(call, change, channel, False)

    def getModel(self, call: Call) -> Any:
        """Colours or grey."""
        return load_with(self, call, self.store.first("RenderingModel", value=self._view(call).model), {})

    def setModel(self, call: Call, model: Any) -> None:
        """Changes to colours or grey."""
        self._view(call).model = call.readable("RenderingModel", model._id._val).get("value")

    def getAvailableModels(self, call: Call) -> list[Any]:
        """Colours and grey."""
        return [load_with(self, call, r, {}) for r in self.store.all("RenderingModel")]

    def setCompressionLevel(self, call: Call, quality: float) -> None:
        """Quality of pictures, from 0 to 1."""
        self._quality = quality

    def getPixelsTypeLowerBound(self, call: Call, channel: int) -> float:
        """Least value of the type."""
        return self._bounds()[0]

    def getPixelsTypeUpperBound(self, call: Call, channel: int) -> float:
        """Greatest value of the type."""
        return self._bounds()[1]

    def requiresPixelsPyramid(self, call: Call) -> bool:
        """Whether the image is shown in tiles."""
        return self._opened()[1].levels > 1

    def getResolutionLevels(self, call: Call) -> int:
        """How many versions of the image there are."""
        return self._opened()[1].levels

    def getTileSize(self, call: Call) -> list[int]:
        """Width and height of tiles."""
        height, width = self._opened()[1].array.shape[-2:]
        return [min(TILE, width), min(TILE, height)]

    def renderCompressed(self, call: Call, plane: Any) -> bytes:
        """A plane as JPEG, or the part of it that is asked for."""
        region = plane.region
        box = None if region is None else (region.x, region.y, region.width, region.height)
        return jpeg(self._view(call).picture(self._opened()[1], plane.z, plane.t, box), self._quality)

    def _opened(self) -> tuple[Record, Volume]:
        if self._pixels is None or self._volume is None:
            raise api_usage("RenderingEngine not ready: Please use lookupPixels().")
        return self._pixels, self._volume

    def _key(self, call: Call, number: int) -> tuple[int, int]:
        return number, call.context.user

    def _view(self, call: Call) -> View:
        pixels, volume = self._opened()
        return self.server.views.setdefault(self._key(call, pixels.id), view_of(volume))

    def _channel(self, call: Call, number: int) -> ChannelView:
        channels = self._view(call).channels
        if not 0 <= number < len(channels):
            raise api_usage(f"no channel {number}")
        return channels[number]

    def _reverse(self, call: Call, change: Any, channel: int, reversed: bool) -> None:
        if not isinstance(change, omero.romio.ReverseIntensityMapContext):
            raise NotSimulated(f"RenderingEngine: {change.ice_id()}")
        self._channel(call, channel).reversed = reversed

    def _bounds(self) -> tuple[float, float]:
        dtype = self._opened()[1].dtype
        limits: Any = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
        return float(limits.min), float(limits.max)


class ThumbnailService(RenderingService):
    """Small pictures of images."""

    def setPixelsId(self, call: Call, number: int) -> bool:
        """Opens the pixels; whether they can be shown."""
        self.lookupPixels(call, number)
        self._view(call)
        return True

    def isInProgress(self, call: Call) -> bool:
        """Pictures are made when they are asked for."""
        return False

    def setRenderingDefId(self, call: Call, number: int) -> None:
        """Uses the settings; there is one set."""

    def getThumbnail(self, call: Call, width: Any, height: Any) -> bytes:
        """A picture of a size."""
        size = (width._val if width else THUMBNAIL, height._val if height else THUMBNAIL)
        view = self._view(call)
        picture = Image.fromarray(view.picture(self._opened()[1], view.z, view.t, None)).resize(size)
        return jpeg(np.asarray(picture), self._quality)

    def getThumbnailByLongestSide(self, call: Call, size: Any) -> bytes:
        """A picture whose longer side has a size."""
        longest = size._val if size else THUMBNAIL
        height, width = self._opened()[1].array.shape[-2:]
        scale = longest / max(height, width)
        view = self._view(call)
        picture = Image.fromarray(view.picture(self._opened()[1], view.z, view.t, None))
        return jpeg(
            np.asarray(picture.resize((max(1, int(width * scale)), max(1, int(height * scale))))), self._quality
        )

    def getThumbnailByLongestSideSet(self, call: Call, size: Any, ids: Sequence[int]) -> dict[int, bytes]:
        """Pictures of several images."""
        pictures = {}
        for number in ids:
            self.setPixelsId(call, number)
            pictures[number] = self.getThumbnailByLongestSide(call, size)
        return pictures

    def getThumbnailWithoutDefault(self, call: Call, width: Any, height: Any) -> bytes:
        """A picture of a size."""
        return self.getThumbnail(call, width, height)

    def getThumbnailDirect(self, call: Call, width: Any, height: Any) -> bytes:
        """A picture of a size; none is kept, so all are made for the call."""
        return self.getThumbnail(call, width, height)

    def getThumbnailByLongestSideDirect(self, call: Call, size: Any) -> bytes:
        """A picture whose longer side has a size; none is kept, so all are made for the call."""
        return self.getThumbnailByLongestSide(call, size)
