"""Commands that make jobs."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gridscribe.client import DEFAULT_SERVER, ImageInput
from gridscribe.commands.connection import AsJson, JobId, Server, connect
from gridscribe.commands.seeing_through import SeeingThrough
from gridscribe.commands.spec_options import takes_service_spec, with_format_of
from gridscribe.image_files import InputError, find_images
from shared.job_spec import ImageReference, JobSpec, Priority

_DURATION = re.compile(r"(\d{1,7})([smhd]?)", re.ASCII)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}

Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Default: sheet.png, in the format asked.")
]
Wait = Annotated[bool, typer.Option(help="Wait for the sheet and fetch it.")]
Timeout = Annotated[float | None, typer.Option(help="Seconds to wait at most.")]


@takes_service_spec
def submit(
    *,
    spec: JobSpec,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DIR_OR_FILES", exists=True, help="Folders and images."),
    ] = None,
    output: Output = None,
    csv: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Labels by file name.")
    ] = None,
    urls: Annotated[
        list[str] | None,
        typer.Option("--url", metavar="URL", help="For the service to fetch; repeat."),
    ] = None,
    uploads: Annotated[
        list[str] | None,
        typer.Option("--upload", metavar="ID", help="Uploaded before; repeat."),
    ] = None,
    server: Server = DEFAULT_SERVER,
    wait: Wait = True,
    timeout: Timeout = None,
    cancel_after: Annotated[
        str | None, typer.Option(metavar="DURATION", help="The service ends it then: 90, 10m, 1h.")
    ] = None,
    keep: Annotated[
        str | None, typer.Option(metavar="DURATION", help="The service keeps it so long, as in 2d.")
    ] = None,
    priority: Annotated[Priority | None, typer.Option(help="Among your own jobs.")] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option("--meta", metavar="KEY=VALUE", help="Kept with the job; repeat."),
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Makes one job, however often it is sent.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Submit images to a service, wait, and fetch the sheet."""
    output = output or Path(f"sheet.{spec.format}")
    spec = with_format_of(spec, output)
    changes: dict[str, Any] = {"priority": priority, "metadata": _pairs(metadata or ())}
    changes["ttl_seconds"] = _seconds("--keep", keep) if keep else None
    spec = JobSpec.model_validate(
        {
            **spec.model_dump(exclude_unset=True),
            **{name: value for name, value in changes.items() if value},
        }
    )
    references = [ImageReference(url=url) for url in urls or ()]
    references += [ImageReference(upload_id=each) for each in uploads or ()]
    images: list[ImageInput] = list(references)
    if paths or not references:
        images = [*find_images(paths or [], output), *references]
    deadline = _seconds("--cancel-after", cancel_after) if cancel_after else None
    with connect(server) as client:
        SeeingThrough(client, output, wait=wait, timeout=timeout, as_json=as_json).begin(
            lambda progress: client.jobs.create(
                images,
                spec,
                csv=csv,
                idempotency_key=idempotency_key,
                cancel_after=deadline,
                on_upload=progress.show_upload,
            )
        )


@takes_service_spec
def relabel(
    *,
    spec: JobSpec,
    job_id: JobId,
    corrections: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="INDEX=TEXT", help="Counted from 0; no text: as before."),
    ] = None,
    output: Output = None,
    server: Server = DEFAULT_SERVER,
    wait: Wait = True,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Make a job's sheet anew with labels put right, or with another layout or format."""
    labels = _corrections(corrections or ())
    with connect(server) as client:
        if output is None:
            made = spec if "format" in spec.model_fields_set else client.jobs.get(job_id).spec
            output = Path(f"sheet.{made.format}")
        spec = with_format_of(spec, output)
        SeeingThrough(client, output, wait=wait, timeout=timeout, as_json=as_json).begin(
            lambda _: client.jobs.relabel(job_id, labels, spec)
        )


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise InputError(f"--meta {text!r}: write KEY=VALUE")
        pairs[name] = value
    return pairs


def _corrections(texts: Sequence[str]) -> dict[int, str | None]:
    labels = {}
    for text in texts:
        index, equals, label = text.partition("=")
        if not (index.isdecimal() and equals):
            raise InputError(f"--label {text!r}: write INDEX=TEXT, as in 3=fox, counted from 0")
        labels[int(index)] = label or None
    return labels


def _seconds(option: str, text: str) -> int:
    match = _DURATION.fullmatch(text)
    if not match:
        raise InputError(f"{option} {text!r}: write seconds, or as in 90s, 10m, 1h or 2d")
    return int(match[1]) * _SECONDS[match[2]]
