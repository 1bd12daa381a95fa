"""Which models there are, by name and version, over one or more folders of packages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from noyau.domain.errors import NotFound
from noyau.domain.model import ModelInfo
from noyau.models.description import MODEL_FILE, read_info

if TYPE_CHECKING:  # imports torch
    from noyau.models.package import LoadedModel

LATEST = "latest"


def shipped_packages() -> Path:
    """The folder of the models that come with the software."""
    return Path(__file__).parent / "packages"


class ModelRegistry:
    """Finds packages laid out as `<folder>/<name>/<version>/`.

    Args:
        paths: folders to look in; of one name and version the first found wins, so that a facility can put its own
            folder before the shipped one. None means the shipped models.
    """

    def __init__(self, paths: Sequence[Path] | None = None) -> None:
        self._paths = tuple(paths) if paths is not None else (shipped_packages(),)

    def list(self) -> list[ModelInfo]:
        """All models, by name and then version, oldest first."""
        return [read_info(folder) for folder in self._folders().values()]

    def get(self, ref: str) -> ModelInfo:
        """The description of `name`, `name@version` or `name@latest`; a bare name means the latest version.

        Raises:
            NotFound: there is no such model; the message names the known ones.
        """
        return read_info(self._folder(ref))

    def load(self, ref: str) -> LoadedModel:
        """The model with its weights, checked against the digest.

        Raises:
            NotFound: there is no such model.
            DamagedData: the package is damaged.
        """
        from noyau.models.package import read_package

        return read_package(self._folder(ref))

    def _folder(self, ref: str) -> Path:
        folders = self._folders()
        name, _, version = ref.partition("@")
        versions = [key for key in folders if key[0] == name]
        if version and version != LATEST:
            versions = [key for key in versions if key[1] == version]
        if not versions:
            known = ", ".join(f"{n}@{v}" for n, v in folders) or "none"
            raise NotFound(f"There is no model '{ref}'.", f"Known models: {known}.")
        return folders[versions[-1]]

    def _folders(self) -> dict[tuple[str, str], Path]:
        found: dict[tuple[str, str], Path] = {}
        for path in self._paths:
            for file in path.glob(f"*/*/{MODEL_FILE}"):
                found.setdefault((file.parent.parent.name, file.parent.name), file.parent)
        return dict(sorted(found.items(), key=lambda item: (item[0][0], _version_key(item[0][1]))))


def _version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """`10` comes after `9`, and numbers come before words."""
    return tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in version.split("."))
