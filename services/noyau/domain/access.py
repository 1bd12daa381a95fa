"""Which places a request may read from and write to.

A coordinator is started with a list of root folders and a list of remote hosts and buckets; a request that names
anything else is refused before a byte is read. Links are resolved first, so that a link inside a root cannot lead
out of it.
"""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import unquote, urlsplit

from noyau.domain.errors import FailedPrecondition, InvalidInput, NotFound, PermissionRefused
from noyau.domain.omero_uri import parse_omero

REMOTE_SCHEMES = ("s3", "http", "https")


@dataclass(frozen=True)
class AccessPolicy:
    """Where images may live.

    Attributes:
        roots: local folders (links are resolved); empty means every local path that the process can read.
        remote_hosts: allowed remote places: `data.example.org`, `*.example.org`, `localhost:8000` for http and https,
            `s3://bucket` or `s3://bucket/prefix` for S3, `*` for all. Empty means none.
        s3_endpoint: URL of an S3 server other than Amazon's.
        max_voxels: largest volume (z*y*x of one time point and channel); None means no limit.
        omero: aliases of the OMERO servers that may be used; what a user may do there, the server decides.
    """

    roots: tuple[str, ...] = ()
    remote_hosts: tuple[str, ...] = ()
    s3_endpoint: str | None = None
    max_voxels: int | None = None
    omero: tuple[str, ...] = ()

    @classmethod
    def everything(cls, s3_endpoint: str | None = None, max_voxels: int | None = None) -> AccessPolicy:
        """The policy of a private server on the user's own machine: what the user can read, Noyau can."""
        return cls((), ("*",), s3_endpoint, max_voxels)

    def with_root(self, folder: str) -> AccessPolicy:
        """The policy of a job, which may also use a folder of its own."""
        return replace(self, roots=(*self.roots, folder)) if self.roots else self

    def check(self, uri: str, write: bool = False) -> str:
        """The canonical form of `uri`: an absolute path without links, or `s3://...`, `http(s)://...`.

        Args:
            uri: path, `file://`, `s3://bucket/key` or `http(s)://host/path`.
            write: the place is going to be written: it may be absent, and http is refused.

        Raises:
            PermissionRefused: outside the roots, the hosts or the buckets.
            NotFound: nothing is at a local path that is to be read.
            InvalidInput: not a place that Noyau knows how to open.
        FailedPrecondition: `write` and http.
        """
        scheme = uri.split("://", 1)[0].lower() if "://" in uri else "file"
        if scheme == "file":
            return self._check_local(uri, write)
        if scheme in REMOTE_SCHEMES:
            return self._check_remote(uri, scheme, write)
        if scheme == "omero":
            return self._check_omero(uri)
        raise InvalidInput(
            f"'{uri}' has the unknown scheme '{scheme}://'.",
            "Images are named by a path, file://, s3://, http(s):// or omero://.",
        )

    def check_links(self, folder: str, deep: bool = True) -> None:
        """Refuses links in a local folder that lead out of the roots; nothing is done where there are no roots.

        Args:
            folder: canonical path.
            deep: also look into the folders below.

        Raises:
            PermissionRefused: a link leads out of the roots.
        """
        waiting = [folder] if self.roots and "://" not in folder else []
        while waiting:
            try:
                entries = list(os.scandir(waiting.pop()))
            except OSError:
                continue  # what cannot be listed is told when it is read
            for entry in entries:
                if entry.is_symlink():
                    self._check_local(entry.path, write=True)
                elif deep and entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)

    def _check_omero(self, uri: str) -> str:
        found = parse_omero(uri)
        if found.alias not in self.omero:
            known = ", ".join(self.omero) or "none"
            raise PermissionRefused(
                f"This service knows no OMERO server '{found.alias}' (known: {known}).",
                "An operator can add it to the setting `omero`.",
            )
        return str(found)

    def _check_local(self, uri: str, write: bool) -> str:
        path = resolve_local(uri)
        if self.roots and not any(path.is_relative_to(_resolved_root(root)) for root in self.roots):
            raise PermissionRefused(
                f"'{uri}' is outside the folders that this server may use.",
                "An operator can add its folder to the setting `roots` (after links are resolved, the path must lie "
                "under one of them).",
            )
        if not write and not path.exists():
            raise NotFound(f"There is nothing at '{uri}'.", "Check the path; it is read on the server's machine.")
        return str(path)

    def _check_remote(self, uri: str, scheme: str, write: bool) -> str:
        place = remote_place(uri)
        if not any(_matches(entry, scheme, place) for entry in self.remote_hosts):
            what = f"The bucket '{place.host}'" if scheme == "s3" else f"The host '{place.host}'"
            raise PermissionRefused(
                f"{what} is not among the remote places that this server may use.",
                "An operator can add it to the setting `remote_hosts`.",
            )
        if write and scheme != "s3":
            raise FailedPrecondition(
                f"'{place.uri}' is read-only: nothing can be written over http.",
                "Name another place for the results with --output.",
            )
        return place.uri


@dataclass(frozen=True)
class RemotePlace:
    """A remote folder: scheme, host (or bucket) and normalised path without a leading slash."""

    scheme: str
    host: str
    path: str

    @property
    def uri(self) -> str:
        return f"{self.scheme}://{self.host}/{self.path}".rstrip("/")


def remote_place(uri: str) -> RemotePlace:
    """Takes a remote URI apart and normalises its path.

    Raises:
        InvalidInput: credentials or a query in the URL (they would end up in records and logs), or no host.
    """
    if uri[:5].lower() == "s3://":
        # Keys may hold any character: nothing in them is a query or a user.
        bucket, _, key = uri[5:].partition("/")
        return _place("s3", bucket, key, uri)
    try:
        parts = urlsplit(uri)
        host = parts.netloc.rsplit("@", 1)[-1]
    except ValueError as error:
        raise InvalidInput(f"The URL cannot be read: {error}.") from error
    if "@" in parts.netloc:
        raise InvalidInput(
            f"The URL of host '{host}' carries credentials.",
            "Give credentials to the server (environment or AWS profile), never in a URL.",
        )
    if parts.query or parts.fragment:
        raise InvalidInput(f"The URL on '{host}' carries a query.", "Name the folder of the image only.")
    return _place(parts.scheme.lower(), host.lower(), parts.path, uri)


def _place(scheme: str, host: str, path: str, uri: str) -> RemotePlace:
    if not host or any(ord(c) < 32 for c in uri):
        raise InvalidInput(f"{uri!r} names no host or bucket.")
    return RemotePlace(scheme, host, posixpath.normpath("/" + path).lstrip("/"))


def resolve_local(uri: str) -> Path:
    """Absolute path without links of a path or a `file://` URI; the last parts may be absent."""
    text = uri
    if uri[:7].lower() == "file://":
        parts = urlsplit(uri)
        if parts.netloc not in ("", "localhost"):
            raise InvalidInput(
                f"'{uri}' names another machine.", "file:// takes an absolute path: file:///folder/image"
            )
        text = unquote(parts.path)
    if not text.strip() or "\0" in text:
        raise InvalidInput("The path of the image is empty or holds a zero byte.")
    try:
        return Path(text).expanduser().resolve()
    except (OSError, RuntimeError) as error:
        raise InvalidInput(f"The path '{uri}' cannot be resolved: {error}.") from error


def _resolved_root(root: str) -> Path:
    return resolve_local(root)


def _matches(entry: str, scheme: str, place: RemotePlace) -> bool:
    if entry == "*":
        return True
    if scheme == "s3":
        if not entry.startswith("s3://"):
            return False
        bucket, _, prefix = entry[5:].rstrip("/").partition("/")
        inside = not prefix or place.path == prefix or place.path.startswith(prefix + "/")
        return fnmatchcase(place.host, bucket) and inside
    wanted = entry.split("://", 1)[-1].rstrip("/").lower()
    return fnmatchcase(place.host, wanted) or fnmatchcase(place.host.rsplit(":", 1)[0], wanted)
