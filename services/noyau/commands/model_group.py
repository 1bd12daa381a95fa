"""Assembles `noyau models`."""

from __future__ import annotations

import typer

from noyau.commands import models, models_changing, models_selftest


def build() -> typer.Typer:
    """The group with all its commands."""
    group = typer.Typer(
        help="Versions and aliases of models; of a service with --server, else the user's own.", no_args_is_help=True
    )
    group.command("list")(models.list_models)
    group.command("show")(models.show_model)
    group.command("history")(models.show_history)
    group.command("check")(models.check_model)
    group.command("selftest")(models_selftest.selftest_package)
    group.command("register")(models_changing.register_model)
    group.command("import")(models_changing.import_model)
    group.command("export")(models_changing.export_model)
    group.command("promote")(models_changing.promote_model)
    group.command("rollback")(models_changing.rollback_model)
    group.command("alias")(models_changing.alias_model)
    group.command("remove")(models_changing.remove_model)
    group.command("repair")(models_changing.repair_model)
    return group
