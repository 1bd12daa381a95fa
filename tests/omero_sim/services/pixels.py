"""IPixels: making images and describing their pixels."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from omero import rtypes

from omero_sim import access
from omero_sim.calls import Call
from omero_sim.errors import invalid, security
from omero_sim.records import Record
from omero_sim.services.config import TypesService
from omero_sim.services.query import load_with
from omero_sim.sessions import MILLISECONDS

DESCRIPTION: dict[str, Any] = {
    "pixelsType": {},
    "dimensionOrder": {},
    "image": {},
    "channels": {"logicalChannel": {"photometricInterpretation": {}}, "statsInfo": {}},
}
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))


class PixelsService(TypesService):
    """Images and their pixels. The operations on enumerations have two names on the wire."""

    def createImage(
        self, call: Call, x: int, y: int, z: int, t: int, channels: Sequence[int], kind: Any, name: str, text: str
    ) -> Any:
        """A new image with pixels of zeros; answers its id."""
        if not channels:
            raise invalid("Channel list must be filled.")
        if min(x, y, z, t) < 1:
            raise invalid(f"sizes must be positive: x={x} y={y} z={z} t={t}")
        with self.store.transaction():
            event = call.event()
            now = int(time.time() * MILLISECONDS)
            image = call.new("Image", event, name=name, description=text, acquisitionDate=now)
            pixels = call.new(
                "Pixels", event, image=image, sizeX=x, sizeY=y, sizeZ=z, sizeC=len(channels), sizeT=t, sha1="Foo"
            )
            self.store.set(pixels, "pixelsType", call.readable("PixelsType", kind._id._val))
            self.store.set(pixels, "dimensionOrder", self.store.first("DimensionOrder", value="XYZCT"))
            for number in range(len(channels)):
                self._channel(call, event, pixels, number)
            return rtypes.rlong(image.id)

    def setChannelGlobalMinMax(self, call: Call, number: int, channel: int, low: float, high: float) -> None:
        """The range of values of a channel."""
        pixels = call.readable("Pixels", number)
        if not access.can_edit(pixels, call.context):
            raise security(f"Updating Pixels(id={number}) not permitted")
        statistics = self.store.collection(pixels, "channels")[channel].get("statsInfo")
        self.store.set(statistics, "globalMin", low)
        self.store.set(statistics, "globalMax", high)

    def retrievePixDescription(self, call: Call, number: int) -> Any:
        """The pixels with all that describes them."""
        return load_with(self, call, call.readable("Pixels", number), DESCRIPTION)

    def retrieveAllRndSettings(self, call: Call, number: int, user: int) -> list[Any]:
        """None: how images are shown is not kept in the database here."""
        call.readable("Pixels", number)
        return []

    def getAllEnumerations(self, call: Call, entity: str) -> list[Any]:
        """Every value of an enumeration."""
        return self.allEnumerations(call, entity)

    def _channel(self, call: Call, event: Record, pixels: Record, number: int) -> None:
        red, green, blue = COLOURS[number % len(COLOURS)]
        statistics = call.new("StatsInfo", event, globalMin=0.0, globalMax=1.0)
        logical = call.new("LogicalChannel", event)
        self.store.set(
            logical, "photometricInterpretation", self.store.first("PhotometricInterpretation", value="Monochrome")
        )
        colour = {"red": red, "green": green, "blue": blue, "alpha": 255}
        call.new("Channel", event, pixels=pixels, logicalChannel=logical, statsInfo=statistics, **colour)
