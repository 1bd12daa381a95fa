"""Who may train under which name: a new version of a name changes what everybody gets who asks for that name."""

from __future__ import annotations

from noyau.api.ports import ModelDesk
from noyau.domain.errors import PermissionRefused
from noyau.domain.principal import Principal
from noyau.domain.training_jobs import TrainSpec


def check_training(caller: Principal, models: ModelDesk, spec: TrainSpec) -> None:
    """Refuses a training whose result would take the place of somebody else's model. Blocks.

    Raises:
        PermissionRefused: the caller is no operator and asks for an alias, or for a name that is another's.
    """
    if caller.operator:
        return
    if spec.alias is not None:
        caller.require_operator(f"let the alias '{spec.alias}' point to a new model")
    if any(entry.info.name == spec.name and entry.by not in caller.names for entry in models.catalogue().entries):
        raise PermissionRefused(
            f"There is a model '{spec.name}' that {caller.name} did not make.",
            "Train under a name of your own; an operator can promote the result.",
        )
