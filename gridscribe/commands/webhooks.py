"""Commands about those who are told of jobs, and about what they were told."""

from collections.abc import Sequence
from itertools import islice
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.text import Text

from gridscribe.client import DEFAULT_SERVER
from gridscribe.commands.connection import AsJson, AsJsonLines, JobId, Server, connect
from gridscribe.console import err, listing, out, print_document, print_line
from gridscribe.image_files import InputError
from shared.job_spec import WebhookEvent
from shared.webhooks import Delivery, NewWebhookEndpoint, WebhookEndpoint, WebhookEndpointChange

app = typer.Typer(no_args_is_help=True, help="Receivers that are told of every job of yours.")

EndpointId = Annotated[str, typer.Argument(metavar="ENDPOINT", help="The endpoint's id.")]
Limit = Annotated[int, typer.Option(min=1, help="At most so many.")]
Events = Annotated[
    list[WebhookEvent] | None, typer.Option("--event", help="What it is told; repeat.")
]


@app.command("list")
def list_endpoints(server: Server = DEFAULT_SERVER, as_json: AsJsonLines = False) -> None:
    """List your endpoints, the oldest first."""
    with connect(server) as client:
        found = client.webhook_endpoints.list()
    if as_json:
        for endpoint in found:
            print_line(endpoint)
        return
    table = listing("endpoint", "url", "events", "state")
    for endpoint in found:
        events = ", ".join(endpoint.events)
        table.add_row(endpoint.id, Text(endpoint.url), events, Text(_state(endpoint)))
    out.print(table)


@app.command()
def create(
    url: Annotated[str, typer.Argument(help="http:// or https://; redirects are not followed.")],
    events: Events = None,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Have a URL told of your jobs; prints its secret, once."""
    fields = {"url": url, "events": events or None, "description": description}
    try:
        wanted = NewWebhookEndpoint.model_validate({k: v for k, v in fields.items() if v})
    except ValidationError as error:
        raise InputError(f"{url!r}: {error.errors()[0]['msg']}") from error
    with connect(server) as client:
        made = client.webhook_endpoints.create(wanted)
    if as_json:
        print_document(made)
    else:
        out.out(made.secret, highlight=False)
    err.print(f"endpoint {made.id}; its secret cannot be shown again")


@app.command()
def show(endpoint_id: EndpointId, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Show an endpoint, and why it fails or was disabled."""
    with connect(server) as client:
        endpoint = client.webhook_endpoints.get(endpoint_id)
    _print_endpoint(endpoint, as_json=as_json)


@app.command()
def change(
    endpoint_id: EndpointId,
    url: Annotated[str | None, typer.Option(help="A new address.")] = None,
    events: Events = None,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    enable: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Tell it, or nothing.")
    ] = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Change an endpoint, or take up one that was disabled."""
    disabled = None if enable is None else not enable
    fields = {"url": url, "events": events, "description": description, "disabled": disabled}
    try:
        wanted = WebhookEndpointChange.model_validate(
            {name: value for name, value in fields.items() if value is not None}
        )
    except ValidationError as error:
        raise InputError(error.errors()[0]["msg"]) from error
    with connect(server) as client:
        endpoint = client.webhook_endpoints.change(endpoint_id, wanted)
    _print_endpoint(endpoint, as_json=as_json)


@app.command()
def delete(
    endpoint_id: EndpointId, server: Server = DEFAULT_SERVER, as_json: AsJson = False
) -> None:
    """Remove an endpoint; nothing more is sent there."""
    with connect(server) as client:
        client.webhook_endpoints.delete(endpoint_id)
    if as_json:
        print_document({"deleted": endpoint_id})
    else:
        err.print(f"deleted {escape(endpoint_id)}")


@app.command()
def rotate_secret(
    endpoint_id: EndpointId,
    overlap: Annotated[
        int | None, typer.Option(help="Seconds that the old one goes on signing. Default: a day.")
    ] = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Give an endpoint a new secret, and print it, once."""
    with connect(server) as client:
        rotated = client.webhook_endpoints.rotate_secret(endpoint_id, overlap)
    if as_json:
        print_document(rotated)
    else:
        out.out(rotated.secret, highlight=False)
        until = f"{rotated.previous_secret_expires_at.astimezone():%Y-%m-%d %H:%M}"
        err.print(f"until {until} messages are signed by the old one as well")


@app.command("test")
def send_test(
    endpoint_id: EndpointId, server: Server = DEFAULT_SERVER, as_json: AsJson = False
) -> None:
    """Send an endpoint a message of no job."""
    with connect(server) as client:
        _print_deliveries([client.webhook_endpoints.test(endpoint_id)], as_json=as_json)


@app.command()
def deliveries(
    endpoint_id: EndpointId,
    limit: Limit = 50,
    server: Server = DEFAULT_SERVER,
    as_json: AsJsonLines = False,
) -> None:
    """List what was sent to an endpoint, newest first."""
    with connect(server) as client:
        found = list(islice(client.webhook_endpoints.deliveries(endpoint_id), limit))
    _print_deliveries(found, as_json=as_json)


@app.command()
def of_job(
    job_id: JobId,
    limit: Limit = 50,
    server: Server = DEFAULT_SERVER,
    as_json: AsJsonLines = False,
) -> None:
    """List what was sent of a job, newest first."""
    with connect(server) as client:
        found = list(islice(client.deliveries.of_job(job_id), limit))
    _print_deliveries(found, as_json=as_json)


@app.command()
def redeliver(
    delivery_id: Annotated[str, typer.Argument(metavar="DELIVERY", help="As listed.")],
    server: Server = DEFAULT_SERVER,
    as_json: AsJsonLines = False,
) -> None:
    """Send a message again."""
    with connect(server) as client:
        _print_deliveries([client.deliveries.redeliver(delivery_id)], as_json=as_json)


def _print_endpoint(endpoint: WebhookEndpoint, *, as_json: bool) -> None:
    if as_json:
        print_document(endpoint)
        return
    out.print(Text(f"{endpoint.id}: {endpoint.url}"), soft_wrap=True)
    out.print(f"told of {', '.join(endpoint.events)}")
    out.print(Text(_state(endpoint)), soft_wrap=True)


def _state(endpoint: WebhookEndpoint) -> str:
    if endpoint.disabled:
        return f"disabled: {endpoint.disabled_reason or 'by you'}"
    if endpoint.failing_since:
        return f"failing since {endpoint.failing_since.astimezone():%Y-%m-%d %H:%M}"
    return "well"


def _print_deliveries(found: Sequence[Delivery], *, as_json: bool) -> None:
    if as_json:
        for delivery in found:
            print_line(delivery)
        return
    table = listing("delivery", "type", "state", "last answer")
    for delivery in found:
        last = delivery.attempts[-1] if delivery.attempts else None
        told = "" if last is None else last.error or str(last.status)
        table.add_row(delivery.id, delivery.type, delivery.state, Text(told))
    out.print(table)
