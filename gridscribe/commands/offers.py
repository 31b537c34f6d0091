"""Commands about what a service offers, and about files sent ahead of a job."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from gridscribe.client import DEFAULT_SERVER
from gridscribe.commands.connection import AsJson, AsJsonLines, Server, connect
from gridscribe.console import StageProgress, err, out, print_document, print_line
from gridscribe.image_files import find_images


def models(server: Server = DEFAULT_SERVER, as_json: AsJsonLines = False) -> None:
    """List the captioning models of a service."""
    with connect(server) as client:
        found = client.models.list()
    if as_json:
        for model in found:
            print_line(model)
        return
    table = Table("model", "default")
    for model in found:
        table.add_row(Text(model.name), "yes" if model.default else "")
    out.print(table)


def vocabularies(server: Server = DEFAULT_SERVER, as_json: AsJsonLines = False) -> None:
    """List what a service chooses captions from."""
    with connect(server) as client:
        found = client.vocabularies.list()
    if as_json:
        for vocabulary in found:
            print_line(vocabulary)
        return
    table = Table("vocabulary", "default", "built in", "facets")
    for vocabulary in found:
        facets = ", ".join(f"{facet.name} ({facet.terms:,})" for facet in vocabulary.facets)
        default, built_in = (
            "yes" if it else "" for it in (vocabulary.default, vocabulary.built_in)
        )
        table.add_row(Text(vocabulary.name), default, built_in, Text(facets))
    out.print(table)


def upload(
    paths: Annotated[list[Path], typer.Argument(metavar="DIR_OR_FILES...", exists=True)],
    direct: Annotated[
        bool, typer.Option("--direct", help="Straight into the bucket, where there is one.")
    ] = False,
    server: Server = DEFAULT_SERVER,
    as_json: AsJsonLines = False,
) -> None:
    """Send images ahead of a job: prints an id for each, for submit --upload."""
    images = find_images(paths)
    with connect(server) as client:
        send = client.uploads.create_direct if direct else client.uploads.create
        for number, image in enumerate(images, start=1):
            with StageProgress() as progress:
                sent = send(image, progress.show_upload)
            if as_json:
                print_line(sent)
            else:
                err.print(Text(f"{number}/{len(images)} {image}"), soft_wrap=True)
                out.out(sent.upload_id, highlight=False)


def presign(
    name: Annotated[
        str | None, typer.Argument(help="The file's name, as labels will have it.")
    ] = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Ask for a link to PUT one file into the service's bucket; only with S3 storage."""
    with connect(server) as client:
        presigned = client.uploads.presign(name)
    if as_json:
        print_document(presigned)
        return
    out.out(presigned.url, highlight=False)
    until = f"{presigned.url_expires_at.astimezone():%Y-%m-%d %H:%M}"
    err.print(f"PUT the file there until {until}, then: submit --upload {presigned.upload_id}")
