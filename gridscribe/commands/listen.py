"""`gridscribe listen`: see webhooks as they come."""

import os
import signal
import threading
from contextlib import ExitStack
from typing import Annotated

import typer
from rich.text import Text

from gridscribe.console import err, out
from gridscribe.image_files import InputError
from gridscribe.webhook_listener import Heard, WebhookListener, temporary_endpoint
from shared.job_spec import WebhookEvent
from shared.webhook_signature import check_secret


def listen(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    secret: Annotated[
        str | None,
        typer.Option(
            envvar="GRIDSCRIBE_WEBHOOK_SECRET", help="Whose signatures are good: whsec_..."
        ),
    ] = None,
    forward: Annotated[
        str | None, typer.Option(metavar="URL", help="Pass deliveries on to it as they came.")
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Have this service send here, until Ctrl+C; it must allow loopback receivers, as"
            " that of `gridscribe dev` does.",
        ),
    ] = None,
) -> None:
    """Receive webhooks on this machine, verify them and print them, until Ctrl+C."""
    listener = WebhookListener(port, _print_heard, forward)
    listener.secret = _checked(secret)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    with ExitStack() as opened:
        opened.enter_context(listener.running())
        if server is not None:
            key = os.environ.get("GRIDSCRIBE_API_KEY")
            events = tuple(WebhookEvent)
            listener.secret = opened.enter_context(
                temporary_endpoint(server, key, listener.url, events)
            )
        checked = "" if listener.secret else ", signatures not checked: give --secret"
        err.print(f"listening on {listener.url}{checked}", soft_wrap=True)
        stopping.wait()


def _checked(secret: str | None) -> str | None:
    try:
        return secret if secret is None else check_secret(secret)
    except ValueError as error:
        raise InputError(f"--secret: {error}") from error


def _print_heard(heard: Heard) -> None:
    progress = heard.data.get("progress")
    parts = [(f"{heard.event:<14}", "bold" if heard.status < 300 else "bold red")]
    if job := heard.data.get("id"):
        parts.append((f" job {job}", ""))
    if isinstance(progress, dict):
        parts.append(
            (f" {progress.get('stage')} {progress.get('done')}/{progress.get('total')}", "")
        )
    good = heard.signature == "verified"
    parts.append((f" {heard.id}", "dim"))
    parts.append((f" {heard.signature}", "green" if good else "yellow"))
    parts.append((f" -> {heard.status}", "" if heard.status < 300 else "red"))
    out.print(Text.assemble(*parts), soft_wrap=True)
