"""A connection to a Dask scheduler: made, kept up and explained."""

from __future__ import annotations

import ipaddress
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dask
from distributed import Client, Security

from noyau.domain.errors import FailedPrecondition, InvalidInput, Unauthenticated, Unavailable

ANNOUNCEMENT = "noyau"
"""Under this key of the scheduler's metadata a coordinator says its version and the mark of its scratch."""
_TRY_SECONDS = 3.0
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True)
class SchedulerPlace:
    """Where the scheduler is and how one proves who one is.

    Attributes:
        address: tcp://host:port or tls://host:port; empty where a file says it.
        file: a scheduler file, which the scheduler writes; read anew at each try.
        ca, certificate, key: PEM files, all or none.
        insecure: a scheduler beyond this machine may be used without TLS.
        patience: seconds for which a scheduler that does not answer is tried again.
    """

    address: str = ""
    file: Path | None = None
    ca: str = ""
    certificate: str = ""
    key: str = ""
    insecure: bool = False
    patience: float = 300.0

    def find(self) -> str:
        """The address, refused where it is not safe.

        Raises:
            Unavailable: the scheduler file is not there (yet).
            InvalidInput: it is no address.
            FailedPrecondition: beyond this machine without TLS.
        """
        address = self.address or _address_in(self.file)
        parts = urlsplit(address)
        if parts.scheme not in ("tcp", "tls") or not parts.hostname or parts.port is None:
            raise InvalidInput(f"'{address}' is no address of a Dask scheduler.", "Write tls://host:8786.")
        if parts.scheme == "tls" and not self.certificate:
            raise InvalidInput(
                f"The scheduler at {address} asks for TLS, and no certificate is set.",
                "Give --tls-ca, --tls-certificate and --tls-key (dask.tls_ca, dask.tls_certificate, dask.tls_key).",
            )
        if parts.scheme == "tcp" and not (self.insecure or _is_loopback(parts.hostname)):
            raise FailedPrecondition(
                f"The scheduler at {address} is on another machine and does not use TLS: whoever reaches it can run "
                "programs as this user.",
                "Start it with certificates and write tls://, or allow it with dask.insecure=true on a closed network.",
            )
        return address

    def security(self) -> Security | None:
        """For connections of clients and workers; None without certificates.

        Raises:
            FailedPrecondition: a file cannot be read, or key and certificate do not belong together.
        """
        if not self.certificate:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(self.ca)
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise FailedPrecondition(
                f"The certificate for the scheduler cannot be used: {self.ca}, {self.certificate}, {self.key} "
                f"({error.strerror or error}).",
                "Give the authority, this process's certificate, and the key that belongs to it, as PEM files.",
            ) from error
        own = {"cert": self.certificate, "key": self.key}
        sides = {f"tls_{side}_{name}": path for side in ("client", "worker") for name, path in own.items()}
        return Security(require_encryption=True, tls_ca_file=self.ca, **sides)


def _address_in(file: Path | None) -> str:
    if file is None:
        raise InvalidInput("No Dask scheduler is set.", "Set dask.scheduler or dask.scheduler_file.")
    try:
        return str(json.loads(file.read_text())["address"])
    except FileNotFoundError as error:
        raise Unavailable(
            f"The scheduler file {file} does not exist.", "Start `dask scheduler --scheduler-file` with this path."
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unavailable(
            f"The scheduler file {file} cannot be read, or is not one.", "Wait until the scheduler has started."
        ) from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def explain(error: BaseException, address: str) -> Unavailable | Unauthenticated:
    """Why no connection came about, from what Dask raised."""
    told: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in told:
        told.append(cause)
        cause = cause.__cause__ or cause.__context__
    failures = [one for one in told if isinstance(one, ssl.SSLError)]
    if failures or "ssl" in str(error).lower():
        why = str(getattr(failures[0], "verify_message", "") or failures[0].reason) if failures else str(error)
        return Unauthenticated(
            f"The scheduler at {address} and this process do not accept each other's certificates ({why}).",
            "Give both certificates of one authority, and name that authority in tls_ca on both sides.",
        )
    return Unavailable(
        f"The Dask scheduler at {address} does not answer.", "Start it, or check dask.scheduler and the network."
    )


def connect(
    place: SchedulerPlace, check: Callable[[], None], tell: Callable[[str], None] = lambda message: None
) -> Client:
    """Connects, trying again for as long as `place.patience` says.

    Args:
        place: the scheduler.
        check: called between tries; raises to stop.
        tell: told once when the first try fails.

    Raises:
        Unavailable: no answer in time.
        Unauthenticated: a certificate is not accepted.
    """
    deadline = time.monotonic() + place.patience
    told = False
    while True:
        check()
        try:
            return _connect_once(place)
        except Unavailable as error:
            if time.monotonic() >= deadline:
                raise
            if not told:
                tell(f"{error.cause} Trying again for {place.patience:.0f} s.")
                told = True
            time.sleep(_PAUSE_SECONDS)


def _connect_once(place: SchedulerPlace) -> Client:
    address = place.find()
    security = place.security()
    # Work stealing and the like are the scheduler's business; of this process only the patience is set.
    with dask.config.set({"distributed.comm.timeouts.connect": f"{_TRY_SECONDS}s"}):
        try:
            return Client(
                address, security=security, timeout=_TRY_SECONDS, set_as_default=False, heartbeat_interval="2s"
            )
        except (TimeoutError, OSError, ssl.SSLError, RuntimeError) as error:
            raise explain(error, address) from error


def announcement(version: str, mark: str) -> dict[str, Any]:
    """What a coordinator says of itself to the workers."""
    return {"version": version, "scratch": mark}
