"""The command that makes sheets of whatever new images come into a folder."""

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from gridscribe.client import DEFAULT_SERVER
from gridscribe.commands.connection import AsJsonLines, Server, connect
from gridscribe.commands.exit_codes import ExitCode
from gridscribe.commands.signals import ended_by_signals
from gridscribe.commands.spec_options import takes_service_spec
from gridscribe.console import err, out, print_line
from gridscribe.image_files import InputError
from gridscribe.local import local_captioning
from gridscribe.saved_templates import check_template
from gridscribe.watching.arrivals import Folder
from gridscribe.watching.making import LocalMaker, Maker, ServiceMaker
from gridscribe.watching.memory import WatchMemory
from gridscribe.watching.wakeups import can_be_told, is_on_network, looks
from gridscribe.watching.watch import Watch
from shared.job_spec import JobSpec
from shared.labels import compares_features

_LOOK_SECONDS = 1.0


@takes_service_spec
def watch(
    *,
    spec: JobSpec,
    folder: Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for sheets. Default: DIR/sheets.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Images of one sheet at most.")] = 100,
    quiet: Annotated[
        float, typer.Option(min=0, help="Seconds without a new image, then fewer will do.")
    ] = 10,
    settle: Annotated[
        float, typer.Option(min=0, help="Seconds a file stays as it is when it is written.")
    ] = 2,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Watch the folders below as well.")
    ] = False,
    existing: Annotated[
        bool, typer.Option("--existing", help="The first time, take what is there already, too.")
    ] = False,
    once: Annotated[
        bool, typer.Option("--once", help="Take what is there and not done yet, then end.")
    ] = False,
    anew: Annotated[
        bool, typer.Option("--forget", help="Forget what was done with this folder before.")
    ] = False,
    poll: Annotated[
        bool | None, typer.Option(help="Look every second. Default: on network mounts only.")
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Make the sheets on this machine.")
    ] = False,
    server: Server = DEFAULT_SERVER,
    as_json: AsJsonLines = False,
) -> None:
    """Make a sheet of whatever new images come into a folder, until Ctrl+C.

    What it did is remembered: started again, it goes on where it was, and makes nothing twice.
    """
    folder = folder.resolve()
    output = (output or folder / "sheets").resolve()
    if output == folder:
        raise InputError("the sheets need another folder than the images: --output")
    if local and spec.template:
        check_template(spec.template)
    with contextlib.ExitStack() as stack:
        stack.enter_context(ended_by_signals())
        memory = WatchMemory(_memory_path(folder), anew=anew)
        stack.callback(memory.close)
        maker: Maker
        if local:
            captioning = None
            if spec.use_clip or compares_features(spec):
                with err.status("loading the captioning model"):
                    captioning = stack.enter_context(local_captioning(spec.clip_model))
            maker = LocalMaker(folder, output, spec, captioning, lambda *_: None)
        else:
            client = stack.enter_context(connect(server))
            maker = ServiceMaker(client, folder, output, spec, memory)
        report = _print_news_line if as_json else _print_news
        looked_at = Folder(folder, settle, recursive=recursive, leaving_out=output)
        watching = Watch(looked_at, memory, maker, most, quiet, report, gives_up=once)
        if memory.is_new and not (existing or once):
            left = watching.leave_out_what_is_there()
            if left:
                err.print(f"{left:,} images that are there already are left out; see --existing")
        polling = (is_on_network(folder) if poll is None else poll) or not can_be_told()
        with contextlib.suppress(KeyboardInterrupt):
            _run(watching, folder, once=once, polling=polling, recursive=recursive)
    if once and watching.failures:
        raise typer.Exit(ExitCode.FAILED)


def _run(watching: Watch, folder: Path, *, once: bool, polling: bool, recursive: bool) -> None:
    err.print(
        Text(f"watching {folder}, {'by looking' if polling else 'as it changes'}; Ctrl+C ends it")
    )
    for has_changed in looks(folder, _LOOK_SECONDS, polling=polling, recursive=recursive):
        watching.step(look=has_changed or watching.is_waiting, at_once=once)
        if once and watching.is_idle:
            return


def _memory_path(folder: Path) -> Path:
    """In the user's folder for state (XDG Base Directory Specification): on a disk of this machine,
    where SQLite's locks hold."""
    base = os.environ.get("XDG_STATE_HOME")
    state = Path(base) if base else Path.home() / ".local" / "state"
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return state / "gridscribe" / "watch" / f"{digest}.sqlite"


def _print_news_line(kind: str, news: dict[str, object]) -> None:
    print_line({"event": kind, **news})


def _print_news(kind: str, news: dict[str, object]) -> None:
    match kind, news:
        case "batch", {"images": list(names)}:
            err.print(f"{len(names)} new images")
        case "submitted", {"job": job}:
            err.print(f"job {job}")
        case "sheet", {"files": list(files)}:
            for file in files:
                out.print(Text(str(file)), soft_wrap=True)
        case "refused", {"image": image, "detail": detail}:
            err.print(Text(f"left out {image}: {detail}", "yellow"), soft_wrap=True)
        case "failed", {"detail": detail}:
            err.print(Text(f"no sheet: {detail}", "red"), soft_wrap=True)
        case "away", {"detail": detail}:
            err.print(Text(f"{detail}; trying again", "yellow"), soft_wrap=True)
