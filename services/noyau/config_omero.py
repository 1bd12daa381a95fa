"""Settings of one OMERO server. Where its password is, never what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class OmeroServerSettings(BaseModel):
    """How an OMERO server is reached and used; its alias is the name of the table, as in `[omero.lab]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(description="Name of the server.", min_length=1)
    port: int = Field(default=4064, ge=1, le=65535, description="Port of its router: 4064 with TLS, 4063 without.")
    tls: bool = Field(default=True, description="Encrypt. Off only for a server on this machine or a closed network.")
    ca: Path | None = Field(
        default=None, description="PEM file of its authority; with it the server's certificate and name are checked."
    )
    user: str | None = Field(
        default=None, description="The service's account: an administrator restricted to the privilege Sudo."
    )
    password_env: str | None = Field(default=None, description="Environment variable with that account's password.")
    password_file: Path | None = Field(default=None, description="File with that account's password.")
    session_file: Path | None = Field(
        default=None, description="File with the key of one person's session, instead of an account (noyau --local)."
    )
    calls: int = Field(
        default=2, ge=1, le=16, description="Calls at once per worker; the server serves five in all by default."
    )
    patience_seconds: float = Field(
        default=120.0, ge=0, description="How long a server that does not answer is tried again."
    )
    call_seconds: float = Field(default=300.0, gt=0, description="Longest time for one call.")
    session_hours: float = Field(default=24.0, gt=0, description="Time to live of the service's sessions for users.")
    zarr_labels: bool = Field(
        default=False,
        description="Write labels into the OME-Zarr behind an image where that is asked for. Users of OMERO can say of "
        "an image that any path is behind it: allow it only where the roots hold nothing that they may not add to.",
    )
    rois: int = Field(default=2_000, ge=0, description="Most nuclei of an image that are saved as masks or polygons.")
    shapes: int = Field(default=20_000, ge=0, description="Most masks or polygons of an image, over all planes.")
    points: int = Field(default=20_000, ge=0, description="Most nuclei of an image that are saved as points.")

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.user is not None and (self.password_env is None) == (self.password_file is None):
            raise ValueError("an account needs password_env or password_file, one of them")
        if self.user is not None and self.session_file is not None:
            raise ValueError("give an account (user) or a session_file, not both")
        return self
