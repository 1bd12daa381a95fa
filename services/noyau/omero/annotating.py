"""Annotations and files. Everything is linked in the same save that makes it, so that nothing is left unlinked.

Links hold their ends as unloaded proxies: saving a loaded image or dataset whose collections are empty would delete
what belongs to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha1
from typing import Any

from noyau.domain.omero_uri import OmeroUri
from noyau.omero.bindings import omero_library
from noyau.omero.inventory import link_class
from noyau.omero.line import Line

_CHUNK = 8 * 2**20


def attach_map(line: Line, parent: OmeroUri, values: Mapping[str, str], namespace: str, description: str) -> int:
    """Attaches a map annotation; returns its id.

    Args:
        line: the connection.
        parent: an image or a container.
        values: names and texts, in order.
        namespace: says what kind of annotation it is.
        description: the run and the part of it.
    """
    omero = omero_library()
    annotation = omero.model.MapAnnotationI()
    annotation.setMapValue([omero.model.NamedValue(_clean(name), _clean(text)) for name, text in values.items()])
    return _attach(line, parent, annotation, namespace, description)


def attach_file(line: Line, parent: OmeroUri, file: int, namespace: str, description: str) -> int:
    """Attaches a file that is on the server; returns the id of the annotation."""
    omero = omero_library()
    annotation = omero.model.FileAnnotationI()
    annotation.setFile(omero.model.OriginalFileI(file, False))
    return _attach(line, parent, annotation, namespace, description)


def upload(line: Line, name: str, data: bytes, mimetype: str) -> int:
    """Stores a file on the server; returns its id. It is not attached to anything yet."""
    omero = omero_library()
    rtypes = omero.rtypes
    file = omero.model.OriginalFileI()
    file.setName(rtypes.rstring(name))
    file.setPath(rtypes.rstring("noyau/"))
    file.setSize(rtypes.rlong(len(data)))
    file.setMimetype(rtypes.rstring(mimetype))
    file.setHash(rtypes.rstring(sha1(data).hexdigest()))
    hasher = omero.model.ChecksumAlgorithmI()
    hasher.setValue(rtypes.rstring("SHA1-160"))
    file.setHasher(hasher)
    number = int(line.update.saveAndReturnObject(file).getId().getValue())
    store = line.factory.createRawFileStore()
    try:
        store.setFileId(number)
        store.truncate(len(data))
        for start in range(0, len(data), _CHUNK):
            part = data[start : start + _CHUNK]
            store.write(part, start, len(part))
        store.save()
    finally:
        store.close()
    return number


def map_values(line: Line, annotation: int) -> dict[str, str]:
    """Names and texts of a map annotation."""
    found = line.query.get("MapAnnotation", annotation)
    return {pair.name: pair.value for pair in found.getMapValue() or ()}


def _attach(line: Line, parent: OmeroUri, annotation: Any, namespace: str, description: str) -> int:
    omero = omero_library()
    annotation.setNs(omero.rtypes.rstring(namespace))
    annotation.setDescription(omero.rtypes.rstring(description))
    name = link_class(parent.kind)
    link = getattr(omero.model, f"{name}I")()
    link.setParent(getattr(omero.model, f"{name.removesuffix('AnnotationLink')}I")(parent.id, False))
    link.setChild(annotation)
    return int(line.update.saveAndReturnObject(link).getChild().getId().getValue())


def _clean(text: str) -> str:
    """The database refuses the character NUL."""
    return str(text).replace("\0", "")
