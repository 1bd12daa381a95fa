"""What a caller may do: its proven names, its groups and its role.

Roles:

- user: submits for its groups, sees and cancels its own jobs;
- manager of a group: sees and cancels all jobs of that group as well;
- operator: sees and cancels all jobs, submits for any group, changes the registry of models.

A service that asks nobody for a proof has only one caller, who is `Principal.anyone()` and may do everything.
"""

from __future__ import annotations

from dataclasses import dataclass

from noyau.domain.errors import PermissionRefused

TOKEN = "token:"
CERTIFICATE = "certificate:"
OMERO = "omero:"
PROVEN = (TOKEN, CERTIFICATE, OMERO)
"""Beginnings of owners that only the service gives, after a proof; a caller that claims one by itself is refused."""

_MOST_TOLD = 10


@dataclass(frozen=True)
class Sight:
    """Which jobs a caller may know of: those of these owners, and all of these groups."""

    owners: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def covers(self, owner: str, group: str) -> bool:
        """Whether a job of that owner, counted for that group, may be seen and cancelled."""
        return owner in self.owners or group in self.groups


@dataclass(frozen=True)
class Principal:
    """A caller.

    Attributes:
        names: what was proven, as `token:ada`, `certificate:microscope-1` or `omero:lab:ada`; the first one owns the
            jobs that the caller submits. Empty for the one caller of a service that asks for no proof.
        groups: whose jobs the caller may submit; the first one where a request names none.
        manages: groups all of whose jobs the caller sees and may cancel.
        operator: may do everything.
        expires: when the proof ends, seconds since 1970; None where it does not.
    """

    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    manages: tuple[str, ...] = ()
    operator: bool = False
    expires: float | None = None

    @classmethod
    def anyone(cls) -> Principal:
        """The caller of a service without authentication."""
        return cls(operator=True)

    @property
    def is_proven(self) -> bool:
        return bool(self.names)

    @property
    def name(self) -> str:
        """The owner of the caller's jobs; empty where nobody asked who calls."""
        return self.names[0] if self.names else ""

    @property
    def sight(self) -> Sight | None:
        """Which jobs the caller may know of; None for all."""
        return None if self.operator else Sight(self.names, self.manages)

    def may_see(self, owner: str, group: str) -> bool:
        """Whether the caller may know of a job of that owner and group."""
        sight = self.sight
        return sight is None or sight.covers(owner, group)

    def group_for(self, asked: str) -> str:
        """The group that a job of the caller is counted for. A caller without a group is one by itself.

        Args:
            asked: what the request says; empty for the caller's first group.

        Raises:
            PermissionRefused: the caller does not belong to it.
        """
        if not self.is_proven:
            return asked
        if not asked:
            return self.groups[0] if self.groups else self.name
        if self.operator or asked in self.groups or asked == self.name:
            return asked
        known = ", ".join(self.groups[:_MOST_TOLD]) or "none"
        raise PermissionRefused(
            f"{self.name} does not belong to the group '{asked[:100]}'.", f"Groups that can be named: {known}."
        )

    def require_operator(self, what: str) -> None:
        """Raises PermissionRefused for a caller that is no operator.

        Args:
            what: the end of a sentence, as in `change the registry of models`.
        """
        if not self.operator:
            raise PermissionRefused(
                f"{self.name} may not {what}.",
                "Ask an operator of the service; who that is stands in its setting `auth.operators`.",
            )
