"""Commands about render farms and generation back ends whose events become grids."""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.markup import escape

from gridscribe.client import DEFAULT_SERVER
from gridscribe.commands.connection import AsJson, AsJsonLines, Server, connect
from gridscribe.console import err, listing, out, print_document, print_line
from gridscribe.image_files import InputError
from shared.inbound_sources import Adapter, Source, SourceAuth, SourceRequest, SourceWithSecret
from shared.job_spec import JobSpec

app = typer.Typer(
    no_args_is_help=True,
    help="Make, list and delete sources: farms whose events become grids.",
)

SourceId = Annotated[str, typer.Argument(metavar="SOURCE", help="The source's id.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="As grids name it.")],
    adapter: Annotated[Adapter, typer.Option(help="Whose events they are.")],
    auth: Annotated[
        SourceAuth | None, typer.Option(help="How they prove it. Default: the adapter's first.")
    ] = None,
    spec: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A file with the grids' spec as JSON."),
    ] = None,
    quiet_seconds: Annotated[
        float | None, typer.Option(help="Time without events after which a grid is made.")
    ] = None,
    gather: Annotated[str | None, typer.Option(help="A grid for each 'job', or 'quiet'.")] = None,
    allowed_host: Annotated[
        list[str] | None, typer.Option(help="Fetch pictures from there only; can be repeated.")
    ] = None,
    path_map: Annotated[
        list[str] | None,
        typer.Option(metavar="THERE=HERE", help="The beginning of paths; can be repeated."),
    ] = None,
    outputs: Annotated[
        str | None, typer.Option(metavar="TEMPLATE", help="Where pictures lie (s3, deadline).")
    ] = None,
    frames: Annotated[
        str | None, typer.Option(metavar="FIRST-LAST", help="Of `--outputs`; default: 1 to all.")
    ] = None,
    sender: Annotated[str | None, typer.Option(help="fal: the user whose requests they are.")] = (
        None
    ),
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Make a source and print its secret, once.

    A secret of your own, such as the one that Replicate gave you, is read from
    GRIDSCRIBE_SOURCE_SECRET: a command line can be read by every user of the machine.
    """
    fields: dict[str, Any] = {
        "name": name,
        "adapter": adapter,
        "auth": auth,
        "quiet_seconds": quiet_seconds,
        "gather": gather,
        "allowed_hosts": allowed_host or None,
        "path_map": dict(map(_pair, path_map)) if path_map else None,
        "outputs": {"url": outputs, "frames": frames} if outputs else None,
        "sender": sender,
        "secret": os.environ.get("GRIDSCRIBE_SOURCE_SECRET"),
    }
    request = _request({key: value for key, value in fields.items() if value is not None}, spec)
    with connect(server) as client:
        source = client.sources.create(request)
    _print_secret(source, as_json=as_json)


@app.command("list")
def list_sources(server: Server = DEFAULT_SERVER, as_json: AsJsonLines = False) -> None:
    """Show your sources and what has come of each."""
    with connect(server) as client:
        found = client.sources.list()
    if as_json:
        for source in found:
            print_line(source, exclude_unset=True)
        return
    table = listing("source", "name", "adapter", "auth", "taken", "refused", "last event")
    for source in found:
        table.add_row(
            source.id,
            escape(source.name),
            source.adapter,
            source.auth,
            str(source.counts.accepted),
            str(source.counts.refused),
            _shown(source.last_event_at),
        )
    out.print(table)


@app.command()
def show(source_id: SourceId, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Show a source and the log of its grids."""
    with connect(server) as client:
        source = client.sources.get(source_id)
    if as_json:
        print_document(source, exclude_unset=True)
    else:
        _print(source)


@app.command()
def rotate_secret(
    source_id: SourceId, server: Server = DEFAULT_SERVER, as_json: AsJson = False
) -> None:
    """Give a source a new secret and print it, once; the old one is refused from now on."""
    with connect(server) as client:
        source = client.sources.rotate_secret(source_id)
    _print_secret(source, as_json=as_json)


@app.command()
def delete(source_id: SourceId, server: Server = DEFAULT_SERVER) -> None:
    """Remove a source; its events are refused from now on."""
    with connect(server) as client:
        client.sources.delete(source_id)


def _print_secret(source: SourceWithSecret, *, as_json: bool) -> None:
    if as_json:
        print_document(source, exclude_unset=True)
    elif source.secret:
        out.out(source.secret, highlight=False)
    err.print(f"source {source.id}; events go to {escape(source.url)}", soft_wrap=True)
    if source.secret:
        err.print("its secret cannot be shown again")


def _print(source: Source) -> None:
    counts = source.counts
    out.print(f"{escape(source.name)}: {source.adapter} by {source.auth}", soft_wrap=True)
    out.print(f"events go to {escape(source.url)}", soft_wrap=True)
    out.print(
        f"taken {counts.accepted}, repeated {counts.duplicate}, ignored {counts.ignored}, refused"
        f" {counts.refused}; jobs being gathered: {source.open_collections}",
        soft_wrap=True,
    )
    if refusal := source.last_refusal:
        out.print(f"last refused {_shown(refusal.at)}: {escape(refusal.detail)}", soft_wrap=True)
    table = listing("when", "job", "outcome", "grid or reason")
    for entry in source.log:
        table.add_row(
            _shown(entry.at),
            escape(entry.job_id),
            entry.outcome,
            escape(entry.grid_job_id or entry.detail or ""),
        )
    out.print(table)


def _request(fields: dict[str, Any], spec: Path | None) -> SourceRequest:
    try:
        if spec is not None:
            fields["spec"] = JobSpec.model_validate_json(spec.read_bytes())
        return SourceRequest.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(f"{place}: {first['msg']}" if place else first["msg"]) from error


def _pair(text: str) -> tuple[str, str]:
    there, equals, here = text.rpartition("=")
    if not (equals and there and here):
        raise InputError(f"--path-map {text!r}: write the farm's beginning, '=' and the one here")
    return there, here


def _shown(moment: datetime | None) -> str:
    return "never" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
