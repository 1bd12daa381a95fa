"""Which places may be read and written."""

from __future__ import annotations

from pathlib import Path

import pytest
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import FailedPrecondition, InvalidInput, NotFound, PermissionRefused


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root" / "image").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    return tmp_path / "root"


def test_a_path_below_a_root_is_allowed_in_every_spelling(root: Path) -> None:
    policy = AccessPolicy(roots=(str(root),))
    want = str(root / "image")
    for spelling in (want, f"file://{want}", f"{root}/x/../image", f"{want}/"):
        assert policy.check(spelling) == want


@pytest.mark.parametrize("path", ["{root}/../outside", "/etc", "file:///etc", "{root}-neighbour"])
def test_a_path_outside_the_roots_is_refused_and_the_setting_named(root: Path, path: str) -> None:
    with pytest.raises(PermissionRefused, match="roots"):
        AccessPolicy(roots=(str(root),)).check(path.format(root=root))


def test_a_path_outside_the_roots_is_refused_the_same_way_whether_it_exists_or_not(root: Path) -> None:
    policy = AccessPolicy(roots=(str(root),))
    messages = set()
    (root.parent / "there").mkdir()
    for name in ("there", "gone"):
        with pytest.raises(PermissionRefused) as caught:
            policy.check(str(root.parent / name))
        messages.add(str(caught.value).replace(f"/{name}'", "/it'"))
    assert len(messages) == 1


def test_a_link_that_leads_out_of_the_root_is_refused(root: Path) -> None:
    (root / "link").symlink_to(root.parent / "outside")
    policy = AccessPolicy(roots=(str(root),))
    for write in (False, True):
        with pytest.raises(PermissionRefused):
            policy.check(str(root / "link"), write=write)
    with pytest.raises(PermissionRefused):
        policy.check(str(root / "link" / "new"), write=True)


def test_a_root_that_is_itself_a_link_works(root: Path) -> None:
    (root.parent / "alias").symlink_to(root)
    assert AccessPolicy(roots=(str(root.parent / "alias"),)).check(str(root / "image")) == str(root / "image")


def test_a_loop_of_links_is_one_clear_error(root: Path) -> None:
    (root / "a").symlink_to(root / "b")
    (root / "b").symlink_to(root / "a")
    with pytest.raises((InvalidInput, NotFound), match="a"):
        AccessPolicy().check(str(root / "a"))


def test_nothing_at_a_path(root: Path) -> None:
    with pytest.raises(NotFound, match="There is nothing at"):
        AccessPolicy().check(str(root / "absent"))
    assert AccessPolicy().check(str(root / "absent"), write=True) == str(root / "absent")


@pytest.mark.parametrize("uri", ["", "  ", "a\0b", "ftp://host/a", "file://other/a"])
def test_what_cannot_be_a_place_is_invalid(uri: str) -> None:
    with pytest.raises(InvalidInput):
        AccessPolicy.everything().check(uri)


@pytest.mark.parametrize(
    ("uri", "entries"),
    [
        ("s3://bucket/a.zarr", ("s3://bucket",)),
        ("s3://bucket/data/a.zarr", ("s3://bucket/data",)),
        ("s3://bucket-7/a.zarr", ("s3://bucket-*",)),
        ("https://data.example.org/a.zarr", ("data.example.org",)),
        ("https://data.example.org:8443/a.zarr", ("data.example.org",)),
        ("http://localhost:8000/a.zarr", ("localhost:8000",)),
        ("https://a.example.org/x", ("*.example.org",)),
        ("s3://anything/x", ("*",)),
        ("s3://bucket/a#1/b?c d@e", ("s3://bucket",)),
    ],
)
def test_allowed_remote_places(uri: str, entries: tuple[str, ...]) -> None:
    assert AccessPolicy(remote_hosts=entries).check(uri + "/") == uri


@pytest.mark.parametrize(
    ("uri", "entries"),
    [
        ("s3://bucket/a.zarr", ()),
        ("s3://bucket/a.zarr", ("bucket",)),
        ("s3://bucket/other/a.zarr", ("s3://bucket/data",)),
        ("s3://bucket/data/../other", ("s3://bucket/data",)),
        ("s3://bucket/database", ("s3://bucket/data",)),
        ("https://example.org.evil.net/a", ("example.org",)),
        ("http://169.254.169.254/latest", ("data.example.org",)),
    ],
)
def test_refused_remote_places(uri: str, entries: tuple[str, ...]) -> None:
    with pytest.raises(PermissionRefused, match="remote_hosts"):
        AccessPolicy(remote_hosts=entries).check(uri)


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidInput) as caught:
        AccessPolicy.everything().check("https://user:secret@data.example.org/a")
    assert "secret" not in str(caught.value)
    with pytest.raises(InvalidInput) as caught:
        AccessPolicy.everything().check("https://data.example.org/a?X-Amz-Signature=secret")
    assert "secret" not in str(caught.value)


def test_http_cannot_be_written() -> None:
    with pytest.raises(FailedPrecondition, match="--output"):
        AccessPolicy.everything().check("https://data.example.org/a", write=True)


def test_omero_servers_are_known_by_their_alias() -> None:
    policy = AccessPolicy(roots=("/nowhere",), omero=("lab",))
    assert policy.check("OMERO://lab/image/7/?c=DAPI", write=True) == "omero://lab/image/7"
    with pytest.raises(PermissionRefused, match="known: lab"):
        policy.check("omero://other/image/7")
    with pytest.raises(InvalidInput):
        policy.check("omero://lab/picture/7")


def test_a_job_may_also_use_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    policy = AccessPolicy(roots=(str(tmp_path / "shared"),))
    with pytest.raises(PermissionRefused):
        policy.check(str(tmp_path / "own"))
    assert policy.with_root(str(tmp_path / "own")).check(str(tmp_path / "own"))
    assert AccessPolicy().with_root("/somewhere").roots == ()
