"""The command that looks whether all is well."""

import os
from collections.abc import Iterator
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.table import Table
from rich.text import Text

from gridscribe.client import DEFAULT_SERVER, ClientError
from gridscribe.commands.connection import AsJson, Server, connect
from gridscribe.commands.exit_codes import ExitCode
from gridscribe.console import err, out, print_document
from gridscribe.diagnosis import backend, machine, service
from gridscribe.diagnosis.finding import Finding, Verdict, problem
from gridscribe.version import own_version
from shared.settings import Settings

_MARKS = {
    Verdict.OK: Text("ok", "green"),
    Verdict.NOTE: Text("note", "yellow"),
    Verdict.PROBLEM: Text("problem", "bold red"),
}


def doctor(
    server: Server = DEFAULT_SERVER,
    only_service: Annotated[
        bool, typer.Option("--service", help="Look at the service alone, not at this machine.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look whether service and machine have what they need, and say what to do.

    Ends with exit code 1 where there is a problem. On a machine that only calls a service, ask for
    --service alone.
    """
    is_named = server != DEFAULT_SERVER or "GRIDSCRIBE_SERVER" in os.environ
    findings = []
    table = Table.grid(padding=(0, 2))
    with err.status("looking ..."):
        is_named = is_named or only_service
        for finding in _findings(server, is_named=is_named, machine_too=not only_service):
            findings.append(finding)
            found = Text(finding.detail)
            if finding.advice and finding.verdict is not Verdict.OK:
                found.append(f"\n-> {finding.advice}", "bold")
            table.add_row(_MARKS[finding.verdict], Text(finding.check), found)
    problems = sum(1 for finding in findings if finding.verdict is Verdict.PROBLEM)
    if as_json:
        print_document({"healthy": not problems, "findings": findings})
    else:
        out.print(table)
        out.print("all is well" if not problems else f"{problems} problem(s)")
    if problems:
        raise typer.Exit(ExitCode.FAILED)


def _findings(server: str, *, is_named: bool, machine_too: bool) -> Iterator[Finding]:
    version = own_version()
    yield machine.check_python(version)
    try:
        with connect(server) as client:
            yield from service.check_service(client, version, must_be_there=is_named)
    except ClientError as error:
        yield problem("service", str(error), "mend --server, GRIDSCRIBE_SERVER or the key")
    if not machine_too:
        return
    try:
        settings = Settings()
    except ValidationError as error:
        for each in error.errors():
            name = ".".join(map(str, each["loc"]))
            yield problem("settings", f"{name}: {each['msg']}", "mend it: docs/settings.md")
        return
    has_address = {"GRIDSCRIBE_REDIS_URL", "REDIS_URL"} & os.environ.keys()
    yield from backend.check_store(settings, must_be_there=bool(has_address))
    if found := backend.check_broker(settings):
        yield found
    yield backend.check_storage(settings)
    yield from machine.check_models(settings)
    yield from machine.check_fonts(settings)
    yield from machine.check_disk(settings)
