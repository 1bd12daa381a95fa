"""What the product asks of OMERO, held against the danger of filtered fetches: saving one deletes what was filtered."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

LEDGER = Path(__file__).resolve().parents[2] / "omero" / "ledger.txt"
_FETCHED = re.compile(r"join fetch \S+ (?:as )?(?!where\b|left\b|join\b|order\b|inner\b)(\w+)")


def queries() -> list[str]:
    """Every query that the product or its tests send."""
    return [line.removeprefix("hql ") for line in LEDGER.read_text().splitlines() if line.startswith("hql ")]


def filters_what_it_fetches(query: str) -> bool:
    """Whether a condition speaks of a collection that is fetched along, so that only a part of it comes."""
    condition = query.partition(" where ")[2]
    return any(re.search(rf"\b{alias}\.", condition) for alias in _FETCHED.findall(query))


@pytest.mark.parametrize(
    ("query", "filtered"),
    [
        ("select r from Roi r join fetch r.shapes s where s.theZ = :z", True),
        ("select r from Roi r left outer join fetch r.shapes as s where r.id = :id and s.id > 3", True),
        ("select r from Roi r left outer join fetch r.shapes where r.id in (:ids)", False),
        ("select p from Pixels p join fetch p.channels c where p.image.id = :id", False),
    ],
)
def test_a_filtered_fetch_is_known(query: str, filtered: bool) -> None:
    assert filters_what_it_fetches(query) is filtered


def test_the_product_never_fetches_a_part_of_a_collection() -> None:
    found = queries()
    assert len(found) > 40
    assert [query for query in found if filters_what_it_fetches(query)] == []
