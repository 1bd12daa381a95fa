"""The command line, `noyau`. This file only assembles; each command lives in `noyau.commands`.

Exit codes are listed in `noyau.commands.exits`.
"""

from __future__ import annotations

import typer

from noyau.commands import (
    bench,
    convert,
    dataset,
    doctor,
    evaluate,
    health,
    jobs,
    measure,
    model_group,
    omero,
    omero_scripts,
    segment,
    serve,
    suggest,
    synth,
    train,
    worker,
)

EPILOG = (
    "Exit codes: 0 done, 1 done in part, 2 usage, 3 bad input, 4 not found, 5 exists, 6 not permitted, 7 no answer, "
    "8 limit or resource, 9 cancelled, 10 internal, 11 not in a state for it, 12 damaged data."
)


def build_app() -> typer.Typer:
    """The application with all commands."""
    app = typer.Typer(
        name="noyau",
        help="Find, outline and measure cell nuclei in 3D and 2D microscopy.",
        epilog=EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    app.command("serve")(serve.serve)
    app.command("worker")(worker.worker)
    app.command("segment")(segment.segment)
    app.command("measure")(measure.measure)
    app.command("convert")(convert.convert)
    app.command("synth")(synth.synth)
    app.command("evaluate")(evaluate.evaluate)
    app.command("train")(train.train)
    app.command("suggest")(suggest.suggest)
    app.command("bench")(bench.bench)
    app.command("doctor")(doctor.doctor)
    app.command("health")(health.health)

    job_commands = typer.Typer(help="List, show, watch and cancel jobs.", no_args_is_help=True)
    job_commands.command("list")(jobs.list_jobs)
    job_commands.command("show")(jobs.show_job)
    job_commands.command("watch")(jobs.watch_job)
    job_commands.command("cancel")(jobs.cancel_job)
    app.add_typer(job_commands, name="jobs")

    dataset_commands = typer.Typer(help="Check images and labels before training.", no_args_is_help=True)
    dataset_commands.command("check")(dataset.check)
    app.add_typer(dataset_commands, name="dataset")

    omero_commands = typer.Typer(help="Log in to OMERO servers, remove results from them.", no_args_is_help=True)
    omero_commands.command("login")(omero.login)
    omero_commands.command("logout")(omero.logout)
    omero_commands.command("pull")(omero.pull)
    omero_commands.command("clean")(omero.clean)
    omero_commands.command("install-scripts")(omero_scripts.install_scripts)
    app.add_typer(omero_commands, name="omero")

    app.add_typer(model_group.build(), name="models")
    return app


def main() -> None:
    """Entry point of the console script."""
    build_app()()


if __name__ == "__main__":
    main()
