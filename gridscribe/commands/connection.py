"""What every command has that talks to a service: the address, the key, and words completed."""

import os
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Annotated

import typer

from gridscribe.client import DEFAULT_SERVER, Client, ClientError

_COMPLETION_SECONDS = 1.0
_COMPLETED_JOBS = 50


def connect(server: str) -> Client:
    # No option for the key: a command line can be read by every user of the machine.
    return Client(server, api_key=_api_key())


def _api_key() -> str | None:
    return os.environ.get("GRIDSCRIBE_API_KEY")


def _completed(words: Callable[[Client], Iterable[tuple[str, str]]]) -> Callable[..., object]:
    """A completer that asks the service, and knows nothing where that does not answer at once."""

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        # An option that stands behind the cursor is unknown yet.
        server = ctx.params.get("server") or os.environ.get("GRIDSCRIBE_SERVER") or DEFAULT_SERVER
        try:
            with Client(
                server, api_key=_api_key(), timeout=_COMPLETION_SECONDS, retries=0
            ) as client:
                found = list(words(client))
        except (ClientError, OSError):
            return []
        return [(word, told) for word, told in found if word.startswith(incomplete)]

    return complete


def _jobs(client: Client) -> Iterable[tuple[str, str]]:
    for job in islice(client.jobs.list(), _COMPLETED_JOBS):
        yield job.id, f"{job.status}, {job.created_at.astimezone():%b %d %H:%M}"


complete_job = _completed(_jobs)
complete_template = _completed(
    lambda client: (
        (each.name, "built in" if each.built_in else "yours") for each in client.templates.list()
    )
)
complete_model = _completed(
    lambda client: (
        (each.name, "the default" if each.default else "") for each in client.models.list()
    )
)
complete_vocabulary = _completed(
    lambda client: (
        (each.name, f"{len(each.facets)} facets") for each in client.vocabularies.list()
    )
)

Server = Annotated[
    str, typer.Option(envvar="GRIDSCRIBE_SERVER", metavar="URL", help="The service's address.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsJsonLines = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
JobId = Annotated[
    str, typer.Argument(metavar="JOB", help="The job's id.", autocompletion=complete_job)
]
