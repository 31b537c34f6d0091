"""Commands that work on this machine alone."""

import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.markup import escape

from gridscribe.commands.connection import AsJson, AsJsonLines, connect
from gridscribe.commands.exit_codes import EXPECTED_ERRORS, ExitCode
from gridscribe.commands.spec_options import takes_service_spec, takes_spec, with_format_of
from gridscribe.console import (
    StageProgress,
    err,
    out,
    print_document,
    print_error,
    print_labels,
    print_line,
    print_warnings,
)
from gridscribe.image_files import InputError, find_images
from gridscribe.local import LocalSheet, local_captioning, make_sheet
from gridscribe.saved_templates import check_template
from gridscribe.unpack import CSV_NAME
from gridscribe.unpack import unpack as unpack_sheets
from shared.axes import MAX_VALUES
from shared.job_spec import JobSpec
from shared.labels import compares_features
from shared.layout_preview import AxisCounts, PreviewRequest, planned_preview
from shared.settings import Settings
from shared.templates import apply_template


@takes_spec
def export(
    *,
    spec: JobSpec,
    paths: Annotated[
        list[Path], typer.Argument(metavar="INPUT... OUTPUT", help="Folders or images; the sheet.")
    ],
    csv: Annotated[Path | None, typer.Option(exists=True, dir_okay=False)] = None,
    batch: Annotated[
        bool, typer.Option("--batch", help="A sheet for each folder; the last is for the sheets.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show labels and all warnings.")
    ] = False,
    as_json: AsJsonLines = False,
) -> None:
    """Make a sheet on this machine, without a service."""
    if len(paths) < 2:
        raise InputError("export needs at least one input and the output, in this order")
    if verbose:
        logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    *inputs, output = paths
    sheets = _batch_sheets(spec, inputs, output) if batch else {output: inputs}
    failed = 0
    with contextlib.ExitStack() as stack:
        captioning = None
        if spec.use_clip or compares_features(spec):
            with err.status("loading the captioning model"):
                captioning = stack.enter_context(local_captioning(spec.clip_model))
        for target, sources in sheets.items():
            try:
                formatted = with_format_of(spec, target)
                images = find_images(sources, target)
                with StageProgress() as progress:
                    sheet = make_sheet(
                        formatted,
                        images,
                        target,
                        csv=csv,
                        captioning=captioning,
                        on_progress=progress.show,
                    )
            except EXPECTED_ERRORS as error:
                if not batch:
                    raise
                failed += 1
                print_error(f"{sources[0]}: {error}")
            else:
                _report(sheet, verbose=verbose, as_json=as_json)
    if failed:
        print_error(f"{failed} of {len(sheets)} folders failed")
        raise typer.Exit(ExitCode.FAILED)


@takes_service_spec
def preview(
    *,
    spec: JobSpec,
    paths: Annotated[list[Path] | None, typer.Argument(metavar="[DIR_OR_FILES...]")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Images, where none are named.")] = None,
    label_lines: Annotated[
        int | None,
        typer.Option(min=1, help="Of the longest label. Default: the most there may be."),
    ] = None,
    axis_counts: Annotated[
        tuple[int, int] | None,
        typer.Option(metavar="ROWS COLS", help="Of an X/Y plot: the values of each axis."),
    ] = None,
    server: Annotated[
        str | None, typer.Option(metavar="URL", help="Ask this service, by its own limits.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say how large a sheet would be, without making it."""
    if bool(paths) == bool(count):
        raise InputError("preview needs either images or --count")
    images = count or len(find_images(paths or []))
    axes = _axis_counts(axis_counts) if axis_counts else None
    if server:
        with connect(server) as client:
            found = client.jobs.preview(images, spec, axes, label_lines)
    else:
        if spec.template:
            check_template(spec.template)
        request = PreviewRequest(
            spec=apply_template(spec), count=images, label_lines=label_lines, axis_counts=axes
        )
        found = planned_preview(request, max_pixels=Settings().max_sheet_pixels)
    if as_json:
        print_document(found)
        return
    pages = f"{len(found.pages)} page(s)"
    out.print(f"{images} images in {found.rows} rows and {found.cols} columns, {pages}")
    for page in found.pages:
        out.print(f"page {page.page}: {page.width} x {page.height} pixels")


def unpack(
    sheets: Annotated[
        list[Path],
        typer.Argument(metavar="SHEET...", exists=True, dir_okay=False, help="All its pages."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new folder. Default: the sheet's name.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take sheets apart: each picture as a PNG, and a CSV of labels that export reads."""
    unpacked = unpack_sheets(sheets, output or sheets[0].with_suffix(""))
    if as_json:
        print_document(unpacked)
    if unpacked.without_picture:
        err.print(
            f"[yellow]warning:[/] {unpacked.without_picture} image(s) have no picture on the sheet"
        )
    folder = escape(str(unpacked.folder))
    err.print(f"wrote {unpacked.pictures} picture(s) and {CSV_NAME} to {folder}", soft_wrap=True)


def _axis_counts(counts: tuple[int, int]) -> AxisCounts:
    try:
        return AxisCounts(rows=counts[0], cols=counts[1])
    except ValidationError as error:
        raise InputError(
            f"--axis-counts {counts[0]} {counts[1]}: an axis has 1 to {MAX_VALUES} values"
        ) from error


def _batch_sheets(
    spec: JobSpec, folders: Sequence[Path], output: Path
) -> dict[Path, Sequence[Path]]:
    """The sheet of each folder, named after it."""
    sheets: dict[Path, Sequence[Path]] = {}
    for folder in folders:
        target = output / f"{folder.resolve().name}.{spec.format}"
        if target in sheets:
            raise InputError(f"{sheets[target][0]} and {folder} would both be written to {target}")
        sheets[target] = [folder]
    return sheets


def _report(sheet: LocalSheet, *, verbose: bool, as_json: bool) -> None:
    if as_json:
        print_line(sheet)
    elif verbose:
        print_labels(sheet.manifest.images)
    print_warnings(sheet.manifest.warnings, every=verbose)
    for page in sheet.pages:
        err.print(f"wrote {escape(str(page))}", soft_wrap=True)
