"""Which models there are, by name, version and alias: the home of registered ones, and folders of packages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, MutableSequence, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from noyau.domain.catalogue import LATEST, Catalogue, ModelEntry, ModelEvent, ModelProblem, Origin
from noyau.domain.errors import DamagedData, FailedPrecondition, NotFound
from noyau.domain.model import ModelInfo
from noyau.models.description import MODEL_FILE
from noyau.models.home import ModelHome, now
from noyau.models.index import Index, drop_alias, point, step_back, withdraw
from noyau.models.references import check_alias, check_name, clean_person, is_name, split_reference
from noyau.models.registering import Registration, register
from noyau.models.repairing import repair
from noyau.models.shelf import Shelf, Volume, build_shelf, shelf_of

if TYPE_CHECKING:  # imports torch
    from noyau.models.package import LoadedModel

_LOG = logging.getLogger(__name__)


def shipped_packages() -> Path:
    """The folder of the models that come with the software."""
    return Path(__file__).parent / "packages"


def own_test(folder: Path) -> None:
    """Runs the test that a package brings along. Raises DamagedData where it fails. Imports torch."""
    from noyau.models.selftest import check

    check(folder)


class ModelRegistry:
    """Finds, loads and registers models. Safe to use from several threads.

    Every call looks at what is there now, so that versions and aliases which another process made are seen at once.

    Args:
        paths: folders of packages laid out as `<folder>/<name>/<version>/`, which are only read; of one name and
            version the first found wins, and a registered one before all. None means the shipped models.
        home: where models are registered; None: nowhere.
        test: raises DamagedData for a package that fails its own test input; None takes `own_test`.
    """

    def __init__(
        self,
        paths: Sequence[Path] | None = None,
        home: ModelHome | None = None,
        test: Callable[[Path], None] | None = None,
    ) -> None:
        shipped = shipped_packages()
        given = tuple(paths) if paths is not None else (shipped,)
        self._folders = tuple((path, Origin.SHIPPED if path == shipped else Origin.FOLDER) for path in given)
        self._home = home
        self._test = test or own_test

    def list(self) -> list[ModelInfo]:
        """All models that can be used, by name and then version, oldest first."""
        found = self.catalogue()
        for problem in found.problems:
            _LOG.warning("a model is left out: %s", problem.cause)
        return [entry.info for entry in found.entries]

    def catalogue(self) -> Catalogue:
        """All models with what is known of them; what cannot be used is named beside them.

        Raises:
            Unavailable: the home is on S3, which does not answer.
        """
        entries: MutableSequence[ModelEntry] = []
        problems: MutableSequence[ModelProblem] = []
        for name in self._names():
            shelf = self._shelf_and_problem(name, problems)
            for volume in shelf.volumes.values():
                try:
                    entries.append(shelf.entry(volume))
                except (DamagedData, NotFound) as error:
                    problems.append(ModelProblem(volume.ref, error.cause, error.remedy))
        return Catalogue(tuple(entries), tuple(problems))

    def get(self, ref: str) -> ModelInfo:
        """The description of `name@version`, `name@alias` or `name@latest`; a bare name means its alias `production`
        where that is set, else its newest version.

        Raises:
            NotFound: there is no such model, or its alias points to nothing; the message names the known ones.
            DamagedData: the index of the name or the description is damaged.
        """
        return self._volume(ref)[1].info()

    def entry(self, ref: str) -> ModelEntry:
        """What is known of a model. Raises as `get`."""
        shelf, volume = self._volume(ref)
        return shelf.entry(volume)

    def load(self, ref: str) -> LoadedModel:
        """The model with its weights, checked against the digest and the test that the package brings along.

        Raises:
            NotFound: there is no such model.
            DamagedData: the package is damaged or fails its test.
        """
        from noyau.models.package import read_package

        _, volume = self._volume(ref)
        volume.info()  # compares with what was registered
        return read_package(volume.folder())

    def folder(self, ref: str) -> Path:
        """A local folder with the package of a model. Raises as `load`."""
        return self._volume(ref)[1].folder()

    def register(
        self, package_folder: Path, *, by: str, alias: str | None = None, name: str | None = None, key: str = ""
    ) -> ModelInfo:
        """Puts a package into the home under the next free version of its name.

        The package's own version is kept where it is free. Several processes may register one name at once.

        Args:
            package_folder: the package; it is copied.
            by: who does this.
            alias: points to the new version from the same moment on.
            name: instead of the package's own.
            key: names this registration: done again with the same key it gives the version that is there.

        Raises:
            NotFound, DamagedData: it is no package, is damaged or fails its own test.
            InvalidInput: a name that cannot be.
            FailedPrecondition: there is no home, or it cannot be written.
            LimitExceeded: the disk is full.
        """
        home = self._writable()
        wanted = Registration.of(package_folder, name=name, by=by, alias=alias, key=key)

        def elsewhere() -> Sequence[str]:
            return tuple(shelf_of(wanted.name, None, Index(), self._folders).volumes)

        return self.get(f"{wanted.name}@{register(home, wanted, elsewhere, self._test)}")

    def aliases(self, name: str) -> dict[str, str]:
        """Alias to version, `latest` among them. Raises NotFound."""
        return self._shelf(name).aliases

    def set_alias(self, name: str, alias: str, version: str, by: str) -> ModelEntry:
        """Lets an alias point to a version (or to what another alias points to now).

        Raises:
            NotFound: there is no such model or version.
            InvalidInput: a name that cannot be.
            FailedPrecondition: there is no home, or it cannot be written.
        """
        check_alias(alias)
        self._shelf(name)

        def change(index: Index) -> Index:
            target = shelf_of(name, self._home, index, self._folders).pick(version or LATEST).number
            return point(index, alias, target, clean_person(by), now())

        self._writable().update(name, change)
        return self.entry(f"{name}@{alias}")

    def rollback(self, name: str, alias: str, by: str) -> ModelEntry:
        """Lets an alias point to what it pointed to before, or else to the next older version.

        Raises:
            NotFound: there is no such model or alias.
            FailedPrecondition: there is nothing to go back to, no home, or it cannot be written.
        """
        check_alias(alias)
        self._shelf(name)

        def change(index: Index) -> Index:
            known = tuple(shelf_of(name, self._home, index, self._folders).volumes)
            return step_back(index, alias, known, clean_person(by), now())[0]

        self._writable().update(name, change)
        return self.entry(f"{name}@{alias}")

    def drop_alias(self, name: str, alias: str, by: str) -> None:
        """Takes an alias away. Raises as `rollback`."""
        check_alias(alias)
        self._shelf(name)
        self._writable().update(name, lambda index: drop_alias(index, alias, clean_person(by), now()))

    def remove(self, ref: str, by: str) -> ModelInfo:
        """Removes a registered version, named in full; its number is never given again.

        Raises:
            NotFound: there is no such version.
            FailedPrecondition: an alias points to it, it was not registered, or the home cannot be written.
        """
        name, number = split_reference(ref)
        volume = self._shelf(name).volumes.get(number)
        if volume is None:
            volume = self._shelf(name).pick(number)
            raise FailedPrecondition(
                f"'{ref}' does not name one version.", f"Name it in full; now it would be {volume.ref}."
            )
        if volume.stored is None:
            raise FailedPrecondition(
                f"The model {ref} was not registered and cannot be removed.",
                "Models that come with the software or lie in a folder of the operator's are removed there.",
            )
        info, home = volume.info(), self._writable()
        home.update(name, lambda index: withdraw(index, number, clean_person(by), now()))
        home.clear(name, number, "")
        return info

    def repair(self, name: str, by: str) -> tuple[dict[str, str], tuple[str, ...]]:
        """Makes a damaged index again from the packages beside it; see `noyau.models.repairing.repair`.

        Returns:
            version to digest of what is there again, and a sentence about every version that was left out.
        """
        index, left_out = repair(self._writable(), check_name(name), clean_person(by))
        return {number: version.digest for number, version in index.versions.items()}, left_out

    def history(self, name: str) -> tuple[ModelEvent, ...]:
        """What happened to the versions of a name, oldest first. Raises NotFound, DamagedData."""
        return self._shelf(name).index.events

    def _writable(self) -> ModelHome:
        if self._home is None:
            raise FailedPrecondition("This registry has no place for new models.", "Set NOYAU_MODELS_HOME.")
        return self._home

    def _volume(self, ref: str) -> tuple[Shelf, Volume]:
        name, selector = split_reference(ref)
        shelf = self._shelf(name, ref)
        if selector and selector not in shelf.volumes and selector not in shelf.aliases:
            raise NotFound(f"There is no model '{ref}'.", f"Known models: {self._known()}. {shelf.described}")
        return shelf, shelf.pick(selector)

    def _shelf(self, name: str, ref: str = "") -> Shelf:
        """The shelf of a name that there is something of."""
        shelf = build_shelf(name, self._home, self._folders)
        if not shelf.volumes:
            raise NotFound(f"There is no model '{ref or name}'.", f"Known models: {self._known()}.")
        return shelf

    def _known(self) -> str:
        problems: MutableSequence[ModelProblem] = []
        shelves = [self._shelf_and_problem(name, problems) for name in self._names()]
        return ", ".join(volume.ref for shelf in shelves for volume in shelf.volumes.values()) or "none"

    def _names(self) -> Sequence[str]:
        found = {file.parent.parent.name for path, _ in self._folders for file in path.glob(f"*/*/{MODEL_FILE}")}
        return sorted(found.union(self._home.names() if self._home is not None else ()))

    def _shelf_and_problem(self, name: str, problems: MutableSequence[ModelProblem]) -> Shelf:
        """The shelf of a name; where its index is damaged, what else there is of it."""
        try:
            shelf = build_shelf(name, self._home, self._folders)
        except DamagedData as error:
            problems.append(ModelProblem(name, error.cause, error.remedy))
            return shelf_of(name, None, Index(), self._folders)
        problems.extend(self._strays(shelf))
        return shelf

    def _strays(self, shelf: Shelf) -> Iterator[ModelProblem]:
        """Folders in the home that somebody put there by hand."""
        if self._home is None or not is_name(shelf.name):
            return
        for number in self._home.strays(shelf.name, shelf.index):
            yield ModelProblem(
                f"{shelf.name}@{number}",
                f"The folder {number} of {shelf.name} in {self._home.uri} holds a package that was never registered.",
                "Move it elsewhere and register it with `noyau models register`.",
            )
