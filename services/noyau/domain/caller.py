"""Who asked for a job, where a server of OMERO vouches for it.

A job's owner is a text that anyone may choose, except that texts of this form are given only by the service itself,
after OMERO has confirmed the caller's session. The text holds no secret: the key of the session is not kept.
"""

from __future__ import annotations

from dataclasses import dataclass

PREFIX = "omero:"


@dataclass(frozen=True)
class OmeroUser:
    """A user of one OMERO server.

    Attributes:
        alias: of the server.
        name: login name.
    """

    alias: str
    name: str

    @property
    def owner(self) -> str:
        """The owner of this user's jobs, `omero:alias:name`."""
        return f"{PREFIX}{self.alias}:{self.name}"

    @classmethod
    def of(cls, owner: str) -> OmeroUser | None:
        """The user that an owner of jobs stands for; None for other owners."""
        alias, colon, name = owner.removeprefix(PREFIX).partition(":")
        return cls(alias, name) if is_omero_owner(owner) and colon and alias and name else None


def is_omero_owner(owner: str) -> bool:
    """Whether an owner has the form that only the service may give."""
    return owner.startswith(PREFIX)
