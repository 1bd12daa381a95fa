"""IContainer, IRoi and IMetadata: the older ways to ask for images, ROIs and annotations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import omero

from omero_sim.access import can_read
from omero_sim.calls import Call
from omero_sim.errors import NotSimulated
from omero_sim.records import Record
from omero_sim.services.base import Service
from omero_sim.services.query import load_with
from omero_sim.values import entity_named

IMAGE: dict[str, Any] = {
    "pixels": {"pixelsType": {}, "dimensionOrder": {}},
    "format": {},
    "details.owner": {},
    "details.group": {},
    "details.creationEvent": {},
    "details.updateEvent": {},
}
CHILDREN: dict[str, dict[str, Any]] = {
    "Project": {"datasetLinks": {"child": {}}},
    "Dataset": {"imageLinks": {"child": {}}},
    "Screen": {"plateLinks": {"child": {}}},
}


class ContainerService(Service):
    """Projects, datasets and their images."""

    def getImages(self, call: Call, entity: str, ids: Sequence[int], options: Any) -> list[Any]:
        """The images with those ids, or in the datasets with those ids."""
        kind = entity_named(entity)
        if kind == "Image":
            images = [r for r in (self.store.find("Image", i) for i in ids) if r is not None]
        elif kind == "Dataset":
            links = self.store.all("DatasetImageLink")
            images = [x.get("child") for x in links if x.get("parent").id in ids and can_read(x, call.context)]
        else:
            raise NotSimulated(f"IContainer.getImages of {kind}")
        return [load_with(self, call, r, IMAGE) for r in images if can_read(r, call.context)]

    def loadContainerHierarchy(self, call: Call, entity: str, ids: Sequence[int], options: Any) -> list[Any]:
        """Containers with what is in them."""
        kind = entity_named(entity)
        if kind not in CHILDREN:
            raise NotSimulated(f"IContainer.loadContainerHierarchy of {kind}")
        rows = [r for r in self.store.all(kind) if (not ids or r.id in ids) and can_read(r, call.context)]
        return [load_with(self, call, r, CHILDREN[kind]) for r in rows]

    def getCollectionCount(
        self, call: Call, entity: str, name: str, ids: Sequence[int], options: Any
    ) -> dict[int, int]:
        """Sizes of collections."""
        collection = name.rsplit("_", 1)[-1]
        counts = {}
        for number in ids:
            rows = self.store.collection(call.readable(entity_named(entity), number), collection)
            counts[number] = sum(can_read(r, call.context) for r in rows)
        return counts


class RoiService(Service):
    """ROIs of images."""

    def findByImage(self, call: Call, number: int, options: Any) -> Any:
        """The ROIs of an image with their shapes."""
        image = self.store.find("Image", number)
        rows = self.store.collection(image, "rois") if image is not None and can_read(image, call.context) else []
        return self._result(call, [r for r in rows if can_read(r, call.context)], options)

    def findByRoi(self, call: Call, number: int, options: Any) -> Any:
        """One ROI with its shapes."""
        roi = self.store.find("Roi", number)
        return self._result(call, [roi] if roi is not None and can_read(roi, call.context) else [], options)

    def getRoiCount(self, call: Call, number: int) -> int:
        """How many ROIs an image has."""
        image = call.readable("Image", number)
        return len(self.store.collection(image, "rois"))

    def _result(self, call: Call, rows: list[Record], options: Any) -> Any:
        answer = omero.api.RoiResult()
        answer.opts, answer.byZ, answer.byT = options, {}, {}
        answer.rois = [load_with(self, call, r, {"shapes": {}}) for r in rows]
        return answer


class MetadataService(Service):
    """Annotations by class and namespace, and how channels were acquired."""

    def loadChannelAcquisitionData(self, call: Call, ids: Sequence[int]) -> list[Any]:
        """Logical channels with what is known of them."""
        rows = [call.readable("LogicalChannel", i) for i in ids]
        return [
            load_with(self, call, r, {"photometricInterpretation": {}, "mode": {}, "illumination": {}}) for r in rows
        ]

    def loadAnnotations(
        self, call: Call, entity: str, ids: Sequence[int], kinds: Sequence[str], annotators: Sequence[int], options: Any
    ) -> dict[int, list[Any]]:
        """The annotations on each of the objects that the caller may read; of some classes, if any are named."""
        if annotators:
            raise NotSimulated("IMetadata.loadAnnotations of some annotators")
        wanted = {entity_named(kind) for kind in kinds or ()}
        found = {}
        for record in (self.store.find(entity_named(entity), i) for i in ids):
            if record is None or not can_read(record, call.context):
                continue
            links = [x for x in self.store.collection(record, "annotationLinks") if can_read(x, call.context)]
            rows = [x.get("child") for x in links if can_read(x.get("child"), call.context)]
            found[record.id] = [
                load_with(self, call, r, {"file": {}, "details.owner": {}, "details.creationEvent": {}})
                for r in rows
                if not wanted or r.entity in wanted
            ]
        return found

    def loadSpecifiedAnnotations(
        self, call: Call, entity: str, include: Sequence[str], exclude: Sequence[str], options: Any
    ) -> list[Any]:
        """Annotations of a class whose namespace is wanted."""
        rows = [r for r in self.store.all(entity_named(entity)) if can_read(r, call.context)]
        kept = [r for r in rows if (not include or r.get("ns") in include) and r.get("ns") not in (exclude or ())]
        return [load_with(self, call, r, {"file": {}, "details.owner": {}, "details.creationEvent": {}}) for r in kept]
