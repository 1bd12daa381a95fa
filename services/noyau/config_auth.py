"""Settings about callers: how they prove who they are, what they may do, and where it is written down."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

_SUBJECT = re.compile(r"(token|certificate|role|omero:[^:]+):.+")


def _subjects(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not _SUBJECT.fullmatch(name):
            raise ValueError(f"'{name}' should begin with token:, certificate:, role: or omero:alias:")
    return names


def _subject_table(table: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    _subjects(tuple(table))
    return table


def _keys(place: str) -> str:
    parts = urlsplit(place)
    if parts.scheme in ("http", "https"):
        if parts.username or parts.password or not parts.hostname:
            raise ValueError("give a URL with a host and without a password")
        if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("keys that come without TLS could be anybody's; give a URL with https://")
        return place
    return str(Path(place).expanduser().absolute())


Subjects = Annotated[tuple[str, ...], AfterValidator(_subjects)]
SubjectTable = Annotated[dict[str, tuple[str, ...]], AfterValidator(_subject_table)]
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


class TokenSettings(BaseModel):
    """Bearer tokens of an OpenID Connect issuer. Callers have to prove who they are as soon as these are set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str | None = Field(default=None, min_length=1, description="Exactly what tokens say in `iss`.")
    audience: tuple[str, ...] = Field(default=(), description="What tokens for this service say in `aud`.")
    keys: Annotated[str, AfterValidator(_keys)] | None = Field(
        default=None, description="The issuer's public keys: a file or an https URL with a JWK set."
    )
    keys_seconds: float = Field(
        default=300.0, ge=10, le=86_400, description="After that long the keys are read again; new ones at once."
    )
    algorithms: tuple[Algorithm, ...] = Field(
        default=("RS256", "ES256", "PS256", "EdDSA"),
        min_length=1,
        description="Algorithms that tokens may be signed with.",
    )
    leeway_seconds: float = Field(default=30.0, ge=0, le=600, description="How much clocks may differ.")
    longest_hours: float = Field(
        default=24.0, gt=0, description="A token is taken that long after its making, even where it expires later."
    )
    user: str = Field(
        default="sub",
        min_length=1,
        description="Claim with the user's name. Take only one that users cannot choose and that is never given again.",
    )
    groups: str = Field(default="groups", min_length=1, description="Claim with the names of the user's groups.")
    roles: str = Field(
        default="roles", min_length=1, description="Claim with roles; dots lead inside, as in realm_access.roles."
    )
    once: str = Field(
        default="noyau_once", min_length=1, description="Claim by which a token (with `jti`) is good for one call only."
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = (self.issuer is not None, bool(self.audience), self.keys is not None)
        if any(given) and not all(given):
            raise ValueError("tokens need issuer, audience and keys, all three")
        return self


class AuthSettings(BaseModel):
    """Who may do what. Callers are named token:NAME, certificate:NAME, omero:ALIAS:NAME, or role:NAME of a token."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    required: bool = Field(
        default=False,
        description="Callers have to prove who they are; they have to anyway with tokens or client certificates.",
    )
    tokens: TokenSettings = TokenSettings()
    operators: Subjects = Field(
        default=(), description="Who sees and cancels all jobs and changes models, e.g. role:noyau-operator."
    )
    managers: SubjectTable = Field(
        default_factory=dict, description="Who manages which groups' jobs; * means all groups of that caller."
    )
    groups: SubjectTable = Field(
        default_factory=dict, description="Groups of callers beside those that their token or OMERO tells."
    )
    audit_file: Path | None = Field(
        default=None, description="File to which one line of JSON is added per change and refusal. Default: none."
    )
    audit_reads: bool = Field(default=False, description="Write down calls that only look as well.")
