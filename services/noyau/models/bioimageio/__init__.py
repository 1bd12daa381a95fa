"""Model packages in the bioimage.io format (model description 0.5): writing them, reading them, and what they lack.

`export` and `import_archive` import torch with their first call.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from noyau.domain.model import ModelInfo
    from noyau.models.bioimageio.objects import ObjectRule

__all__ = ["export", "import_archive"]


def export(folder: Path, zip_path: Path, *, overwrite: bool = False) -> Path:
    """Writes a model package as a bioimage.io archive; see `noyau.models.bioimageio.exporting.export`."""
    from noyau.models.bioimageio.exporting import export as write

    return write(folder, zip_path, overwrite=overwrite)


def import_archive(
    zip_path: Path,
    into: Path,
    *,
    name: str | None = None,
    objects: ObjectRule | None = None,
    allow_torchscript: bool = False,
) -> ModelInfo:
    """Makes a model package from an archive; see `noyau.models.bioimageio.importing.import_archive`."""
    from noyau.models.bioimageio.importing import import_archive as read

    return read(zip_path, into, name=name, objects=objects, allow_torchscript=allow_torchscript)
