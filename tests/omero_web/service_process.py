"""The service in a process of its own, and its scripts in the menu of the OMERO server."""

from __future__ import annotations

from pathlib import Path

from noyau.commands.omero_scripts import scripts_for, shipped_scripts
from noyau.omero.line import Line
from noyau.omero.scripts import install_script
from omero_kit import ALIAS
from omero_place import Place
from omero_seed import Seed, connect
from test_service import Running


class ServiceWithScripts(Running):
    """As administrators set it up: the service runs, and `noyau omero install-scripts` has been called."""

    def __init__(self, folder: Path, place: Place, seed: Seed) -> None:
        folder.mkdir()
        super().__init__(folder, place, seed)
        root = connect(place, place.admin, place.password)
        try:
            line = Line(root, leave=False)
            for name, text in scripts_for(shipped_scripts(), self.address, ALIAS, "").items():
                install_script(line, name, text)
        finally:
            root.closeSession()
