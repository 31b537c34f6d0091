"""The command line: `gridscribe COMMAND`."""

import sys
from typing import Annotated, Any

import typer

from gridscribe.commands import (
    doctor,
    evaluate,
    jobs,
    keys,
    listen,
    local,
    offers,
    sources,
    stack,
    submission,
    templates,
    watch,
    webhooks,
)
from gridscribe.commands.exit_codes import EXPECTED_ERRORS, exit_code, hint
from gridscribe.console import out, print_error
from gridscribe.old_spelling import with_single_values
from gridscribe.version import own_version

app = typer.Typer(
    name="gridscribe",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done; 1 a job or a part of the work failed; 2 the options or the input"
    " cannot be used; 3 no service answers; 4 the service refused; 5 waiting took too"
    " long; 130 stopped by Ctrl+C.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
_PANELS = {
    "Jobs": (
        submission.submit,
        watch.watch,
        jobs.wait,
        jobs.status,
        jobs.events,
        jobs.jobs,
        jobs.download,
        jobs.manifest,
        submission.relabel,
        jobs.cancel,
        jobs.retry,
        jobs.delete,
    ),
    "Images and what there is for them": (
        offers.upload,
        offers.presign,
        offers.models,
        offers.vocabularies,
    ),
    "Without a service": (
        local.export,
        local.preview,
        local.unpack,
        evaluate.eval_labels,
    ),
    "The service itself": (doctor.doctor, stack.dev, stack.demo, listen.listen),
}
for panel, commands in _PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(templates.app, name="templates", rich_help_panel="Images and what there is for them")
app.add_typer(webhooks.app, name="webhooks", rich_help_panel="Jobs")
app.add_typer(keys.app, name="keys", rich_help_panel="The service itself")
app.add_typer(sources.app, name="sources", rich_help_panel="The service itself")


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"gridscribe {own_version()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Label images and compose them into labeled sheets."""


def main() -> None:
    """Run the command line with the process's arguments, and exit."""
    try:
        app(args=_rewritten(sys.argv[1:]), prog_name="gridscribe")
    except EXPECTED_ERRORS as error:
        print_error(str(error), hint(error))
        sys.exit(exit_code(error))


def _rewritten(arguments: list[str]) -> list[str]:
    """The arguments as click understands them; see `gridscribe.old_spelling`."""
    group: Any = typer.main.get_command(app)
    command = group.commands.get(arguments[0]) if arguments else None
    if command is None:
        return arguments
    value_counts = {
        name: 0 if getattr(parameter, "is_flag", False) else parameter.nargs
        for parameter in command.params
        for name in parameter.opts
        if name.startswith("-")
    }
    return [
        arguments[0],
        *with_single_values(arguments[1:], value_counts, greedy_labels=command.name == "export"),
    ]
