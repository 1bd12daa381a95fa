"""Official scripts of an OMERO server: put there or renewed by an administrator."""

from __future__ import annotations

from noyau.omero.bindings import omero_library
from noyau.omero.line import Line

FOLDER = "/noyau"
"""Where the scripts are on the server; OMERO.web makes a menu of it."""


def install_script(line: Line, name: str, text: str) -> tuple[int, bool]:
    """Uploads a script, or replaces the text of one that is there.

    Args:
        line: a connection of an administrator who may write scripts.
        name: of the file.
        text: the script.

    Returns:
        its id, and whether it was there before.
    """
    service = line.factory.getScriptService()
    path = f"{FOLDER}/{name}"
    known = int(service.getScriptID(path))
    if known < 0:
        return int(service.uploadOfficialScript(path, text)), False
    service.editScript(omero_library().model.OriginalFileI(known, False), text)
    return known, True
