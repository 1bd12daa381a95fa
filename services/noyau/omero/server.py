"""What is known of an OMERO server, as a frozen value. Secrets are named here, never held."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from noyau.domain.errors import FailedPrecondition, NotFound
from noyau.omero.budget import RoiBudget

CALL_SECONDS = 300.0


@dataclass(frozen=True)
class OmeroServer:
    """One OMERO server.

    Attributes:
        alias: its name in URIs.
        host, port: of its Glacier2 router.
        tls: encrypt; only for a server on the same machine or a closed network it may be off.
        ca: PEM file of the authority that signed its certificate. With it the certificate and the host's name in it
            are checked; without, the connection is encrypted but the server is believed, as OMERO's own clients do.
        user: the service's account, an administrator restricted to the privilege Sudo; None on a person's own
            machine, where `session_file` is used instead.
        password_env, password_file: where that account's password is found when it is needed; one of them.
        session_file: file that holds the key of the person's own session, written by `noyau omero login`.
        calls: calls to the server at once from one worker process, and connections per session. Two are nearly all
            there is to gain; the server by default serves five at once, to all users together.
        patience: seconds to go on trying to reach a server that does not answer.
        call_seconds: longest time for one call.
        session_hours: time to live of the service's sessions for users.
        zarr_labels: labels may be written into the OME-Zarr behind an image for its users, who can say of an image
            that any path is behind it.
        budget: most ROIs per image.
    """

    alias: str
    host: str
    port: int = 4064
    tls: bool = True
    ca: Path | None = None
    user: str | None = None
    password_env: str | None = None
    password_file: Path | None = None
    session_file: Path | None = None
    calls: int = 2
    patience: float = 120.0
    call_seconds: float = CALL_SECONDS
    session_hours: float = 24.0
    zarr_labels: bool = False
    budget: RoiBudget = field(default_factory=RoiBudget)

    @property
    def acts_for_others(self) -> bool:
        """True where the service has an account with the privilege Sudo there."""
        return self.user is not None

    @property
    def may_write_zarr(self) -> bool:
        """Whether labels may be written into the OME-Zarr behind an image: always for a person on their own machine."""
        return self.zarr_labels or not self.acts_for_others

    def password(self) -> str:
        """The password of the service's account.

        Raises:
            FailedPrecondition: it is not where the settings say.
        """
        text = os.environ.get(self.password_env, "") if self.password_env else _read(self.password_file)
        if not text:
            where = f"environment variable {self.password_env}" if self.password_env else f"file {self.password_file}"
            raise FailedPrecondition(
                f"The password of the service's account on the OMERO server '{self.alias}' is not in the {where}.",
                "An operator must put it there.",
            )
        return text

    def own_key(self) -> str:
        """The key of the person's own session.

        Raises:
            NotFound: nobody logged in.
        """
        text = _read(self.session_file)
        if not text:
            raise NotFound(
                f"Nobody has logged in to the OMERO server '{self.alias}' here.",
                f"Log in with: noyau omero login {self.alias}",
            )
        return text


def _read(path: Path | None) -> str:
    try:
        return path.read_text().strip() if path is not None else ""
    except OSError:
        return ""
