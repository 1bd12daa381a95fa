"""A bioimage.io archive as a model package, after everything in it was checked.

An archive of ours gives back our package. Of another maker's archive the description, the test tensors and one set of
weights are taken; code in it is never run. The package is made in a hidden folder, must give its own test output, and
is then moved to its place in one step.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from uuid import uuid4

from noyau.domain.errors import AlreadyExists, DamagedData, InvalidInput, NoyauError
from noyau.domain.model import ModelInfo
from noyau.models import selftest
from noyau.models.bioimageio import names
from noyau.models.bioimageio.archive import Archive, ArchiveLimits, open_archive
from noyau.models.bioimageio.foreign import unpack_foreign
from noyau.models.bioimageio.objects import ObjectRule
from noyau.models.bioimageio.own import unpack_own
from noyau.models.bioimageio.yaml_text import read_yaml
from noyau.models.references import check_name, is_version
from noyau.storage.failures import write_error


def import_archive(
    zip_path: Path,
    into: Path,
    *,
    name: str | None = None,
    objects: ObjectRule | None = None,
    allow_torchscript: bool = False,
    limits: ArchiveLimits | None = None,
) -> ModelInfo:
    """Makes the package `into/<name>/<version>` from an archive.

    Args:
        zip_path: the archive.
        into: folder of packages; made if it is not there.
        name: name of the model here; None takes the archive's. Only for other makers' archives.
        objects: what the output's channels mean, where the description does not say; see `ObjectRule`.
        allow_torchscript: take TorchScript weights, which are a program. They are still checked to call nothing but
            operations on tensors, and tried in a process of its own without network and without files.
        limits: what an archive may hold; None takes the defaults.

    Raises:
        NotFound: there is no archive.
        AlreadyExists: there is a model of this name and version.
        InvalidInput, DamagedData, LimitExceeded: the archive is hostile, broken, or of a kind that cannot be run; the
            message says what is wrong. Nothing is left behind.
    """
    staging, is_new = into / f".import-{uuid4().hex}", not into.exists()
    try:
        with open_archive(zip_path, limits) as archive:
            document = find_description(archive)
            info = _unpack(archive, document, staging, name, objects, allow_torchscript)
        _check_reference(info)
        target = into / info.name / info.version
        if target.exists():
            raise AlreadyExists(f"There is a model {info.ref} in '{into}' already.", "Import it under another name.")
        selftest.check(staging)
        _move(staging, target)
    except NoyauError:
        raise
    except Exception as error:  # values of a kind that nobody thought of must not look like a fault of the service
        reason = " ".join(str(error).split())[:200].rstrip(".") or "no reason given"
        raise DamagedData(
            f"The archive '{zip_path.name}' holds what cannot be understood: {type(error).__name__}: {reason}."
        ) from error
    finally:
        for leftover in (staging, staging.with_name(f"{staging.name}-trial")):
            shutil.rmtree(leftover, ignore_errors=True)
        if is_new and into.is_dir() and not any(into.iterdir()):
            into.rmdir()
    return info


def find_description(archive: Archive) -> dict[str, Any]:
    """The description of an archive, as plain values.

    Raises:
        DamagedData: there is none, or it cannot be read.
        InvalidInput: it does not describe a model of format 0.5.
    """
    found = [name for name in names.RDF_NAMES if name in archive.names]
    found += sorted(name for name in archive.names if "/" not in name and name.endswith(".bioimageio.yaml"))
    if not found:
        raise DamagedData(f"The archive '{archive.path.name}' has no description ({names.RDF}).")
    document = read_yaml(archive.read(found[0]), found[0])
    if document.get("type") != "model":
        raise InvalidInput(f"The archive '{archive.path.name}' does not hold a model.")
    version = str(document.get("format_version", ""))
    if not version.startswith("0.5."):
        raise InvalidInput(
            f"The description in '{archive.path.name}' is of format {version[:20] or 'unknown'}, and 0.5 is read.",
            "Update it with `bioimageio update-format`.",
        )
    return document


def _unpack(
    archive: Archive,
    document: dict[str, Any],
    staging: Path,
    name: str | None,
    objects: ObjectRule | None,
    allow_torchscript: bool,
) -> ModelInfo:
    config = document.get("config")
    own = config.get(names.VENDOR) if isinstance(config, dict) else None
    if isinstance(own, dict):
        return unpack_own(archive, own, staging)
    return unpack_foreign(archive, document, staging, name=name, rule=objects, allow_torchscript=allow_torchscript)


def _check_reference(info: ModelInfo) -> None:
    check_name(info.name)
    if not is_version(info.version):
        raise DamagedData(f"'{info.version[:100]}' cannot be the version of a model.")


def _move(staging: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging.rename(target)
    except FileExistsError as error:
        raise AlreadyExists(f"There is a model in '{target}' already.", "Import it under another name.") from error
    except OSError as error:
        raise write_error(error, f"'{target}'") from error
