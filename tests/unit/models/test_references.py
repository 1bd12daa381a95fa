"""How models may be called, and how versions are numbered and sorted."""

from __future__ import annotations

import pytest
from noyau.domain.errors import InvalidInput
from noyau.models.references import (
    check_alias,
    check_name,
    clean_person,
    next_version,
    split_reference,
    version_key,
)

BAD_NAMES = ["", ".", "..", ".hidden", "../a", "a/b", "a\\b", "a b", "a@1", "a\0", "-a", "ä", "a" * 65, "a\n"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_is_a_folder_that_leads_nowhere_else(name: str) -> None:
    with pytest.raises(InvalidInput):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "nuclei-3d", "My_model.v2", "3d", "a" * 64])
def test_ordinary_names_are_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("alias", ["", "1", "2b", "latest", "Production", "a b", "../a", "a/b", "a.b", "a" * 33, "a\n"])
def test_an_alias_is_no_version_and_not_latest(alias: str) -> None:
    with pytest.raises(InvalidInput):
        check_alias(alias)


def test_references_are_taken_apart() -> None:
    assert split_reference("a@2") == ("a", "2")
    assert split_reference("a") == ("a", "")
    assert split_reference("a@b@c") == ("a", "b@c")


@pytest.mark.parametrize(
    ("taken", "number"),
    [((), "1"), (("1", "2"), "3"), (("9", "10"), "11"), (("1.2.0", "draft"), "2"), (("2024a",), "2025")],
)
def test_the_next_version_is_above_all_others(taken: tuple[str, ...], number: str) -> None:
    assert next_version(frozenset(taken)) == number


def test_versions_sort_as_numbers() -> None:
    assert sorted(["10", "9", "1.10", "1.9", "2"], key=version_key) == ["1.9", "1.10", "2", "9", "10"]


def test_who_did_it_is_one_line() -> None:
    assert clean_person(" Ada\n\tLovelace\x00 ") == "Ada Lovelace"
    assert len(clean_person("x" * 5000)) == 200
