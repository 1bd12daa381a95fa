"""What a registry tells of its models beyond the packages themselves: who registered them, when, and what points to
them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from noyau.domain.model import ModelInfo

LATEST = "latest"
"""The newest version; it moves by itself and cannot be set."""
PRODUCTION = "production"
"""What a bare name means once this alias is set; until then a bare name means the newest version."""


class Origin(StrEnum):
    """Where a model comes from."""

    SHIPPED = "shipped"
    FOLDER = "folder"
    REGISTERED = "registered"


class ModelAction(StrEnum):
    """What can happen to the versions of a name."""

    REGISTERED = "registered"
    ALIAS = "alias"
    ROLLBACK = "rollback"
    UNALIAS = "unalias"
    REMOVED = "removed"


@dataclass(frozen=True)
class ModelEntry:
    """One version of a model as the registry knows it.

    Attributes:
        info: what the package says of itself.
        origin: shipped with the software, in a folder of the operator's, or registered.
        aliases: names that point to it now, sorted; `latest` among them.
        by: who registered it, as the caller said; empty for what was not registered.
        registered: when, UTC; None for what was not registered.
    """

    info: ModelInfo
    origin: Origin
    aliases: tuple[str, ...] = ()
    by: str = ""
    registered: datetime | None = None


@dataclass(frozen=True)
class ModelProblem:
    """Something in the registry that cannot be used, beside which all the rest can."""

    what: str
    cause: str
    remedy: str = ""


@dataclass(frozen=True)
class Catalogue:
    """All models, by name and then version, oldest first, and what is wrong with the others."""

    entries: tuple[ModelEntry, ...]
    problems: tuple[ModelProblem, ...] = ()


@dataclass(frozen=True)
class ModelEvent:
    """One thing that happened to a name.

    Attributes:
        at: UTC.
        by: who did it, as the caller said.
        action: what was done.
        version: the version that it was done to, or that the alias points to since.
        alias: of `alias`, `rollback` and `unalias`.
        previous: the version that the alias pointed to before; empty where it was new.
    """

    at: datetime
    by: str
    action: ModelAction
    version: str
    alias: str = ""
    previous: str = ""


@dataclass(frozen=True)
class ModelElement:
    """One element of a well-documented model.

    Attributes:
        name: what it is.
        present: whether the package carries it.
        where: file or entry that was looked at.
        why: what was found, or what is missing.
        purpose: what it is needed for.
    """

    name: str
    present: bool
    where: str
    why: str
    purpose: str = ""


@dataclass(frozen=True)
class ModelScore:
    """What a package carries of what users need; `model` is its name@version."""

    model: str
    elements: tuple[ModelElement, ...]
