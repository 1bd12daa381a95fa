"""Everything that callers do with models, in one place for the service and the command line."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from noyau.domain.access import AccessPolicy
from noyau.domain.catalogue import Catalogue, ModelElement, ModelEntry, ModelEvent, ModelScore
from noyau.domain.errors import FailedPrecondition, InvalidInput
from noyau.domain.model import ModelInfo
from noyau.models.apart import Runner, run_here
from noyau.models.bioimageio.objects import ObjectRule
from noyau.models.description import MODEL_FILE
from noyau.models.leftovers import remove_old
from noyau.models.registry import ModelRegistry
from noyau.storage.failures import write_error

_PREFIX = "noyau-model-"


@dataclass(frozen=True)
class RegisterOptions:
    """How a model is to be registered.

    Attributes:
        by: who does it.
        name: instead of the package's own; None keeps that.
        alias: points to the new version from the same moment on.
        key: done again with the same key it gives the version that is there; empty: none.
        objects: what the output of another maker's network means, where its description does not say.
        torchscript: take TorchScript weights, which are programs.
    """

    by: str = ""
    name: str | None = None
    alias: str | None = None
    key: str = ""
    objects: ObjectRule | None = None
    torchscript: bool = False


class ModelDesk:
    """Registers, exports and examines models, and passes on what the registry does. Safe to use from several threads.

    Args:
        registry: the models.
        access: from where packages and archives may be taken.
        run: does the work that takes torch.
        scratch: folder for archives under way; None takes the system's.
        torchscript: whether TorchScript weights may be taken at all.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        access: AccessPolicy,
        run: Runner = run_here,
        scratch: Path | None = None,
        torchscript: bool = True,
    ) -> None:
        self.registry = registry
        self._access = access
        self._run = run
        self._scratch = scratch
        self._torchscript = torchscript

    def list(self) -> Sequence[ModelInfo]:
        """See `ModelRegistry.list`."""
        return self.registry.list()

    def get(self, ref: str) -> ModelInfo:
        """See `ModelRegistry.get`."""
        return self.registry.get(ref)

    def catalogue(self) -> Catalogue:
        """See `ModelRegistry.catalogue`."""
        return self.registry.catalogue()

    def entry(self, ref: str) -> ModelEntry:
        """See `ModelRegistry.entry`."""
        return self.registry.entry(ref)

    def history(self, name: str) -> Sequence[ModelEvent]:
        """See `ModelRegistry.history`."""
        return self.registry.history(name)

    def set_alias(self, name: str, alias: str, version: str, by: str) -> ModelEntry:
        """See `ModelRegistry.set_alias`."""
        return self.registry.set_alias(name, alias, version, by)

    def drop_alias(self, name: str, alias: str, by: str) -> None:
        """See `ModelRegistry.drop_alias`."""
        self.registry.drop_alias(name, alias, by)

    def rollback(self, name: str, alias: str, by: str) -> ModelEntry:
        """See `ModelRegistry.rollback`."""
        return self.registry.rollback(name, alias, by)

    def remove(self, ref: str, by: str) -> ModelInfo:
        """See `ModelRegistry.remove`."""
        return self.registry.remove(ref, by)

    def register(self, path: str, options: RegisterOptions) -> ModelEntry:
        """Registers a package folder or an archive.

        Args:
            path: of a folder or a .zip file on this machine.
            options: how.

        Raises:
            PermissionRefused: the path is not one that may be read.
            NoyauError: see `ModelRegistry.register` and `noyau.models.bioimageio.import_archive`.
        """
        place = self._local(path)
        return self.register_archive(place, options) if place.is_file() else self._register(place, options)

    def register_archive(self, archive: Path, options: RegisterOptions) -> ModelEntry:
        """Registers what is in an archive, wherever that lies. Raises as `register`."""
        if options.torchscript and not self._torchscript:
            raise FailedPrecondition(
                "This service takes no TorchScript weights, which are programs.",
                "An operator can allow them with the setting `access.torchscript`.",
            )
        with self.scratch() as folder:
            found = self._run(
                "import",
                {
                    "archive": str(archive),
                    "into": str(folder),
                    "name": options.name,
                    "objects": None if options.objects is None else asdict(options.objects),
                    "torchscript": options.torchscript,
                },
            )
            return self._register(folder.joinpath(*found), options)

    def export(self, ref: str, archive: Path, *, overwrite: bool = False) -> ModelInfo:
        """Writes a model as a bioimage.io archive and returns which one it was.

        Raises:
            NotFound: there is no such model.
            AlreadyExists: the archive is there.
            NoyauError: see `noyau.models.bioimageio.export`.
        """
        entry = self.registry.entry(ref)
        folder = self.registry.folder(entry.info.ref)
        self._run("export", {"folder": str(folder), "archive": str(archive), "overwrite": overwrite})
        return entry.info

    def check(self, ref: str) -> ModelScore:
        """What the package of a model carries of what users need. Raises NotFound."""
        return self._score(self.registry.folder(self.registry.get(ref).ref))

    def check_path(self, path: str) -> ModelScore:
        """The same for a package folder or an archive that is not registered."""
        place = self._local(path)
        if not place.is_file():
            return self._score(place)
        with self.scratch() as folder:
            arguments = {"archive": str(place), "into": str(folder), "name": None, "objects": None}
            return self._score(folder.joinpath(*self._run("import", {**arguments, "torchscript": False})))

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder that is gone afterwards.

        Raises:
            LimitExceeded, FailedPrecondition: the disk is full or read-only.
        """
        try:
            if self._scratch is not None:
                self._scratch.mkdir(parents=True, exist_ok=True)
                remove_old(self._scratch, f"{_PREFIX}*")
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._scratch))
        except OSError as error:
            raise write_error(error, f"the scratch folder {self._scratch or tempfile.gettempdir()}") from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _register(self, folder: Path, options: RegisterOptions) -> ModelEntry:
        info = self.registry.register(folder, by=options.by, alias=options.alias, name=options.name, key=options.key)
        return self.registry.entry(info.ref)

    def _score(self, folder: Path) -> ModelScore:
        found = self._run("score", {"folder": str(folder)})
        return ModelScore(found["model"], tuple(ModelElement(**element) for element in found["elements"]))

    def _local(self, path: str) -> Path:
        place = self._access.check(path)
        if "://" in place:
            raise InvalidInput(f"'{path}' is not on a disk of this machine.", f"Name a folder with a {MODEL_FILE}.")
        return Path(place)
