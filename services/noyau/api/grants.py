"""Who is what: the operator's settings turn proven names, groups and roles into a `Principal`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from noyau.domain.principal import Principal

ROLE = "role:"
"""Beginning of a role that a token carries, where settings name who is meant: `role:noyau-operator`."""
OWN_GROUPS = "*"


@dataclass(frozen=True)
class Grants:
    """Roles by settings. Callers are named as `token:ada`, `certificate:microscope-1`, `omero:lab:ada` or `role:name`.

    Attributes:
        operators: who may do everything.
        managers: who manages which groups; `*` means all groups that the caller belongs to.
        groups: groups of callers beside those that their proof tells.
    """

    operators: frozenset[str] = frozenset()
    managers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def principal(
        self,
        names: tuple[str, ...],
        groups: Iterable[str] = (),
        roles: Iterable[str] = (),
        expires: float | None = None,
    ) -> Principal:
        """A caller.

        Args:
            names: what was proven, at least one.
            groups, roles: what the proof tells.
            expires: when it ends, seconds since 1970.
        """
        subjects = (*names, *(f"{ROLE}{role}" for role in roles))
        managed = [group for subject in subjects for group in self.managers.get(subject, ())]
        # Who manages a group belongs to it.
        named = [group for group in managed if group != OWN_GROUPS]
        added = (group for subject in subjects for group in self.groups.get(subject, ()))
        all_groups = tuple(dict.fromkeys((*groups, *added, *named)))
        return Principal(
            names,
            all_groups,
            all_groups if OWN_GROUPS in managed else tuple(dict.fromkeys(named)),
            not self.operators.isdisjoint(subjects),
            expires,
        )
