"""List: filters, and pages that do not shift."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from noyau.domain.errors import InvalidInput
from noyau.domain.image import ImageRef
from noyau.domain.jobs import JobState, MeasureSpec, SegmentSpec
from noyau.domain.principal import Sight
from noyau.jobs.listing import JobFilter
from noyau.jobs.store import JobStore


def test_pages_cover_all_jobs_once_newest_first(store: JobStore, spec: SegmentSpec) -> None:
    ids = [store.submit(spec).id for _ in range(7)]
    seen: list[str] = []
    token = ""
    while True:
        page = store.list(page_size=3, page_token=token)
        seen += [job.id for job in page.jobs]
        # New jobs must not shift the later pages.
        store.submit(spec)
        if not page.next_token:
            break
        token = page.next_token
    assert seen == ids[::-1]


def test_a_full_last_page_has_no_next_one(store: JobStore, spec: SegmentSpec) -> None:
    for _ in range(4):
        store.submit(spec)
    page = store.list(page_size=2, page_token=store.list(page_size=2).next_token)
    assert (len(page.jobs), page.next_token) == (2, "")


def test_filters(store: JobStore, spec: SegmentSpec) -> None:
    a = store.submit(spec, owner="ada", group="x")
    b = store.submit(MeasureSpec((ImageRef("b"),)), owner="bob", group="x")
    c = store.submit(spec, owner="ada", group="y")
    store.request_cancel(c.id)

    def ids(**wanted: object) -> set[str]:
        return {job.id for job in store.list(JobFilter(**wanted)).jobs}  # type: ignore[arg-type]

    assert ids(owner="ada") == {a.id, c.id}
    assert ids(group="x") == {a.id, b.id}
    assert ids(kind="measure") == {b.id}
    assert ids(states=(JobState.QUEUED,)) == {a.id, b.id}
    assert ids(states=(JobState.QUEUED, JobState.CANCELLED), owner="ada", group="y") == {c.id}
    assert b.created is not None
    assert ids(created_from=b.created) == {b.id, c.id}
    assert ids(created_before=b.created) == {a.id}
    assert ids(created_from=b.created, created_before=b.created + timedelta(microseconds=1)) == {b.id}


def test_counts_by_state(store: JobStore, spec: SegmentSpec) -> None:
    store.request_cancel(store.submit(spec).id)
    store.submit(spec)
    counts = store.count_by_state()
    assert (counts[JobState.CANCELLED], counts[JobState.QUEUED], counts[JobState.RUNNING]) == (1, 1, 0)


@pytest.mark.parametrize("token", ["x", "!!", "LTE6YWJj", "é", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OmFiYw=="])
def test_a_made_up_token_is_refused(store: JobStore, token: str) -> None:
    with pytest.raises(InvalidInput, match="token"):
        store.list(page_token=token)


def test_a_token_of_another_filter_is_refused(store: JobStore, spec: SegmentSpec) -> None:
    for _ in range(3):
        store.submit(spec)
    token = store.list(page_size=1).next_token
    with pytest.raises(InvalidInput, match="other filters"):
        store.list(JobFilter(owner="ada"), page_token=token)


@pytest.mark.parametrize("size", [0, -1, 1001])
def test_a_page_size_out_of_range_is_refused(open_store: Callable[..., JobStore], size: int) -> None:
    with pytest.raises(InvalidInput, match=str(size)):
        open_store().list(page_size=size)


def test_a_caller_sees_its_own_jobs_and_those_of_groups_that_it_manages(store: JobStore, spec: SegmentSpec) -> None:
    for owner, group in (("ada", "x"), ("bob", "x"), ("bob", "y"), ("eve", "z")):
        store.submit(spec, owner=owner, group=group)

    def seen(sight: Sight | None, **more: str) -> list[tuple[str, str]]:
        return [(job.owner, job.group) for job in store.list(JobFilter(sight=sight, **more)).jobs]

    assert seen(Sight(("ada",), ("y",))) == [("bob", "y"), ("ada", "x")]
    assert seen(Sight(("ada",), ("y",)), owner="bob") == [("bob", "y")]
    assert seen(Sight()) == []
    assert len(seen(None)) == 4


def test_a_page_token_is_of_no_use_to_another_caller(store: JobStore, spec: SegmentSpec) -> None:
    for _ in range(3):
        store.submit(spec, owner="ada")
    token = store.list(JobFilter(sight=Sight(("ada",))), page_size=1).next_token
    with pytest.raises(InvalidInput):
        store.list(JobFilter(sight=Sight(("bob",))), page_token=token)
