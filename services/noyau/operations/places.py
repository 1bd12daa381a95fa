"""The places of the service: scratch, models and images; whether they can be used and have room."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from noyau.config import Settings
from noyau.jobs.database import Database
from noyau.jobs.migrate import current, head
from noyau.models.desk import ModelDesk
from noyau.operations.findings import Finding, Status, look, ok

LEAST_FREE_MIB = 2048
"""Scratch of one large volume; less is a warning."""


def folders(settings: Settings) -> Iterator[Finding]:
    """Folders that are written to, and the roots of images."""
    yield _written("state folder", settings.state_dir)
    if "://" in settings.models_home:
        yield ok("models home", f"{settings.models_home} (looked at with the models)")
        yield _written("models cache", settings.models_cache)
    else:
        yield _written("models home", Path(settings.models_home))
    for folder in settings.models:
        yield _read(f"models {folder}", folder)
    for root in settings.access.roots:
        yield _read(f"images {root}", Path(root))


def job_store(settings: Settings) -> Iterator[Finding]:
    """The job database: whether it answers, and which schema it has. Makes and changes nothing."""
    file = settings.state_dir / "jobs.sqlite"
    if settings.jobs.database is None and not file.exists():
        yield ok("job database", f"{file} is made at the first start")
        return
    database = Database.open(settings.database_url)
    try:
        revision = current(database)
    finally:
        database.close()
    if revision == head():
        yield ok("job database", f"{database.label}, schema {revision}")
    else:
        found = f"{database.label} has schema {revision or 'none yet'}; this version has {head()}"
        remedy = "The next start brings it up to date; make a backup before."
        yield Finding("job database", Status.WARNING, found, remedy)


def models(desk: ModelDesk, *, test: bool) -> Iterator[Finding]:
    """Every model that can be used, after its own test input; and what is wrong with the others."""
    catalogue = desk.catalogue()
    for problem in catalogue.problems:
        yield Finding(f"model {problem.what}", Status.FAILED, problem.cause, problem.remedy)
    if not catalogue.entries:
        yield Finding("models", Status.FAILED, "there are none", "Reinstall noyau, which brings two along.")
    for entry in catalogue.entries:
        name = f"model {entry.info.ref}"
        yield from look(name, partial(_tested, desk, name, entry.info.ref)) if test else [ok(name, "listed")]


def _tested(desk: ModelDesk, name: str, ref: str) -> Iterator[Finding]:
    from noyau.models.selftest import check

    check(desk.registry.folder(ref))
    yield ok(name, "gives the stored answer to its test input")


def _written(name: str, folder: Path) -> Finding:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir():
        return Finding(name, Status.FAILED, f"{there} is no folder", "Give another place.")
    if not os.access(there, os.W_OK | os.X_OK):
        return Finding(name, Status.FAILED, f"{there} cannot be written", "Give the service's user the right to.")
    free = shutil.disk_usage(there).free // 2**20
    text = f"{folder}, {free} MiB free"
    if free < LEAST_FREE_MIB:
        return Finding(name, Status.WARNING, text, "Free some space, or move it to a larger disk.")
    return ok(name, text)


def _read(name: str, folder: Path) -> Finding:
    if not folder.is_dir():
        return Finding(name, Status.FAILED, "the folder does not exist", "Make or mount it, or take it out.")
    if not os.access(folder, os.R_OK | os.X_OK):
        return Finding(name, Status.FAILED, "the folder cannot be read", "Give the service's user the right to.")
    return ok(name, "can be read and written" if os.access(folder, os.W_OK) else "can be read, not written")
