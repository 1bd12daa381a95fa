"""How models, versions and aliases are called: `nuclei-3d@2`, `nuclei-3d@production`."""

from __future__ import annotations

import re

from noyau.domain.catalogue import LATEST
from noyau.domain.errors import InvalidInput

# A name and a version become folders: nothing in them may lead elsewhere or hide. A version begins with a digit and an
# alias with a letter, so that one can never be taken for the other.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_VERSION = re.compile(r"[0-9][A-Za-z0-9_.+-]{0,31}")
_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_LONGEST_PERSON = 200


def split_reference(ref: str) -> tuple[str, str]:
    """Name and version or alias of `name` or `name@selector`; the selector is empty for a bare name."""
    name, _, selector = ref.partition("@")
    return name, selector


def is_name(text: str) -> bool:
    """Whether a model could be called so."""
    return _NAME.fullmatch(text) is not None


def is_version(text: str) -> bool:
    """Whether a registered version could be called so."""
    return _VERSION.fullmatch(text) is not None


def check_name(name: str) -> str:
    """A name that can be registered.

    Raises:
        InvalidInput: it is not.
    """
    if not is_name(name):
        raise InvalidInput(
            f"'{name[:100]}' cannot be the name of a model.",
            "Use up to 64 letters, digits, '_', '-' and '.', beginning with a letter or a digit.",
        )
    return name


def check_alias(alias: str) -> str:
    """An alias that can be set.

    Raises:
        InvalidInput: it is not, or it is `latest`.
    """
    if alias == LATEST:
        raise InvalidInput(f"'{LATEST}' always means the newest version and cannot be set.", "Take another alias.")
    if not _ALIAS.fullmatch(alias):
        raise InvalidInput(
            f"'{alias[:100]}' cannot be an alias.",
            "Use up to 32 lower-case letters, digits, '_' and '-', beginning with a letter.",
        )
    return alias


def clean_person(by: str) -> str:
    """Who did something, fit for a record: one line of at most 200 characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in by).split())[:_LONGEST_PERSON]


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts versions: `10` comes after `9`, and numbers come before words."""
    return tuple((0, int(p), "") if p.isascii() and p.isdigit() else (1, 0, p) for p in version.split("."))


def next_version(taken: frozenset[str]) -> str:
    """The whole number after the largest that any version begins with."""
    leading = (re.match(r"[0-9]{1,18}", version) for version in taken)
    return str(max((int(found.group()) for found in leading if found), default=0) + 1)
