"""Public keys of the one who signs tokens: a JWK set (RFC 7517) from a file or a URL, kept for a while."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog

from noyau.domain.errors import FailedPrecondition, Unavailable

MOST_BYTES = 2**20
MOST_KEYS = 100
_FETCH_SECONDS = 5.0
_PAUSE_SECONDS = 30.0
"""Least time between two fetches: neither tokens with made-up key names nor a URL that is down can cause more."""
_STALE_SECONDS = 3600.0
"""Keys that could not be fetched again are used that long, so that a short outage of the issuer stops nobody."""
_KINDS = ("RSA", "EC", "OKP")
"""Asymmetric keys. A secret (`oct`) in a set of public keys is a mistake, and never used."""

Fetch = Callable[[], bytes]


@dataclass(frozen=True)
class PublicKey:
    """One key of a set: its name, its kind (`kty`), the one algorithm it is for (empty: not said), and all of it."""

    name: str
    kind: str
    algorithm: str
    jwk: Mapping[str, Any]


class KeyRing:
    """Safe to use from several threads; methods block while keys are fetched.

    Args:
        place: path of a file, or https URL (http only on this machine).
        lifetime: seconds after which the keys are read again.
        fetch: reads the bytes; None goes by the place.
    """

    def __init__(self, place: str, lifetime: float, fetch: Fetch | None = None) -> None:
        self._place = place
        self._lifetime = lifetime
        self._fetch = fetch or reader_of(place)
        self._lock = threading.Lock()
        self._keys: tuple[PublicKey, ...] = ()
        self._read = self._tried = float("-inf")
        self._log = structlog.get_logger("noyau.auth")

    def find(self, name: str | None) -> PublicKey | None:
        """The key of that name; without a name the only key, where there is only one.

        A name that is not known may be that of a new key: the keys are read again, but not more often than twice a
        minute.

        Raises:
            Unavailable: there are no keys, and none can be read.
            FailedPrecondition: what can be read is no set of keys.
        """
        with self._lock:
            now = time.monotonic()
            if now - self._read > self._lifetime:
                self._refresh(now)
            found = _choose(self._keys, name)
            if found is None and self._refresh(time.monotonic()):
                found = _choose(self._keys, name)
            return found

    def _refresh(self, now: float) -> bool:
        """Reads the keys again where that is due; False where they stay as they were."""
        usable = bool(self._keys) and now - self._read <= self._lifetime + _STALE_SECONDS
        if now - self._tried < _PAUSE_SECONDS:
            if not usable:
                raise self._absent()
            return False
        self._tried = now
        try:
            self._keys = parse_keys(self._fetch(), self._place)
        except (OSError, FailedPrecondition) as error:
            self._log.warning("keys of tokens cannot be read", place=self._place, why=str(error))
            if usable:
                return False
            self._keys = ()
            if isinstance(error, FailedPrecondition):
                raise
            raise self._absent() from error
        self._read = now
        return True

    def _absent(self) -> Unavailable:
        return Unavailable(
            "Tokens cannot be checked now: the keys of their issuer cannot be read.",
            "Try again in a minute. The log of the service says why (setting `auth.tokens.keys`).",
        )


def parse_keys(data: bytes, place: str) -> tuple[PublicKey, ...]:
    """The usable keys of a JWK set: public, asymmetric, and not meant for encryption.

    Raises:
        FailedPrecondition: it is no JWK set, or holds none.
    """
    try:
        entries = json.loads(data)["keys"]
        found = [entry for entry in entries if entry["kty"] in _KINDS and entry.get("use", "sig") == "sig"]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FailedPrecondition(f"{place} holds no set of keys.", "It should be JSON with a list `keys`.") from error
    if not 0 < len(found) <= MOST_KEYS:
        raise FailedPrecondition(
            f"{place} holds {len(found)} keys that can check a signature.", f"It should hold 1 to {MOST_KEYS}."
        )
    return tuple(
        PublicKey(str(entry.get("kid", "")), str(entry["kty"]), str(entry.get("alg", "")), entry) for entry in found
    )


def reader_of(place: str) -> Fetch:
    """What reads a file or a URL.

    Raises:
        FailedPrecondition: an address over which anybody on the way could put keys of their own.
    """
    parts = urlsplit(place)
    if parts.scheme not in ("http", "https"):
        return lambda: _read_file(Path(place))
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise FailedPrecondition(f"Keys from {parts.hostname} would come without TLS.", "Give a URL with https://.")
    return lambda: _read_url(place)


def _choose(keys: tuple[PublicKey, ...], name: str | None) -> PublicKey | None:
    if name is None:
        return keys[0] if len(keys) == 1 else None
    return next((key for key in keys if key.name == name), None)


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return _limited(file.read(MOST_BYTES + 1))


class _NoDetour(urllib.request.HTTPRedirectHandler):
    """Keys come from where the operator said, or not at all."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _read_url(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"Accept": "application/json"})
    with urllib.request.build_opener(_NoDetour).open(request, timeout=_FETCH_SECONDS) as answer:
        return _limited(answer.read(MOST_BYTES + 1))


def _limited(data: bytes) -> bytes:
    if len(data) > MOST_BYTES:
        raise OSError(f"more than {MOST_BYTES} bytes")
    return data
