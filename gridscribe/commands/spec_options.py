"""The options that say how a sheet looks, shared by all commands that make one."""

import functools
import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import ValidationError

from gridscribe.commands.connection import (
    complete_model,
    complete_template,
    complete_vocabulary,
)
from gridscribe.image_files import InputError
from gridscribe.saved_templates import check_template, save_template, spec_from
from shared.job_spec import CsvEncoding, JobSpec, LabelPosition, Overflow, ResizeMode, SheetFormat

ResultT = TypeVar("ResultT")

_LAYOUT: Any = functools.partial(typer.Option, rich_help_panel="Layout")
_LABELS: Any = functools.partial(typer.Option, rich_help_panel="Labels")
_PICTURES: Any = functools.partial(typer.Option, rich_help_panel="Pictures")


def spec_options(
    *,
    rows: Annotated[int | None, _LAYOUT(help="Rows a page.")] = None,
    cols: Annotated[int | None, _LAYOUT(help="Columns.")] = None,
    cell_size: Annotated[
        tuple[int, int] | None, _LAYOUT(metavar="W H", help="A picture's place in pixels.")
    ] = None,
    margin: Annotated[int | None, _LAYOUT(help="Pixels between cells.")] = None,
    font_size: Annotated[int | None, _LAYOUT(help="Pixels.")] = None,
    background: Annotated[
        str | None, _LAYOUT(metavar="COLOR", help="As in white, '#fff' or 255 255 255.")
    ] = None,
    title: Annotated[str | None, _LAYOUT(help="A line above the sheet.")] = None,
    overflow: Annotated[Overflow | None, _LAYOUT(help="For images past the last cell.")] = None,
    sort: Annotated[
        str | None, _LAYOUT(metavar="name|similarity|column:NAME", help="Default: as given.")
    ] = None,
    stack_duplicates: Annotated[
        bool | None, _LAYOUT("--stack-duplicates", help="Show pictures that look the same as one.")
    ] = None,
    rows_by: Annotated[
        str | None, _LAYOUT(metavar="COLUMN", help="An X/Y plot: a row for each value.")
    ] = None,
    cols_by: Annotated[
        str | None, _LAYOUT(metavar="COLUMN", help="And a column for each value.")
    ] = None,
    auto_axes: Annotated[
        bool | None, _LAYOUT("--auto-axes", help="Find the two columns of an X/Y plot.")
    ] = None,
    template: Annotated[
        str | None, _LAYOUT(help="A preset; other options win.", autocompletion=complete_template)
    ] = None,
    save_as: Annotated[
        str | None, _LAYOUT("--save-template", metavar="NAME", help="Keep this layout.")
    ] = None,
    output_format: Annotated[
        str | None,
        _LAYOUT("--format", metavar="|".join(SheetFormat), help="Default: by the output's name."),
    ] = None,
    quality: Annotated[int | None, _LAYOUT(help="1 to 100; png and tiff have none.")] = None,
    labels: Annotated[
        list[str] | None,
        _LABELS(metavar="COLUMN", help="Columns to draw; repeat, or a,b. `auto`: what varies."),
    ] = None,
    csv_encoding: Annotated[
        CsvEncoding | None, _LABELS(help="Of a CSV that is not Unicode.")
    ] = None,
    label_position: Annotated[LabelPosition | None, _LABELS(help="Where labels stand.")] = None,
    use_clip: Annotated[
        bool | None, _LABELS("--use-clip", help="Caption images that have no label.")
    ] = None,
    clip_model: Annotated[
        str | None, _LABELS(help="Default: the service's own.", autocompletion=complete_model)
    ] = None,
    min_confidence: Annotated[
        float | None, _LABELS(help="Below it CLIP keeps silent, 0 to 1.")
    ] = None,
    candidates: Annotated[
        list[str] | None, _LABELS(metavar="TEXT", help="What CLIP chooses among; repeat, or a,b.")
    ] = None,
    candidates_file: Annotated[
        Path | None,
        _LABELS(exists=True, dir_okay=False, help="The same, one a line; commas stay."),
    ] = None,
    vocabulary: Annotated[
        str | None,
        _LABELS(
            help="One of the service's vocabularies; default: its own.",
            autocompletion=complete_vocabulary,
        ),
    ] = None,
    prompt_templates: Annotated[
        list[str] | None,
        _LABELS("--prompt-template", metavar="TEXT", help="As in 'a photo of a {}'; repeat."),
    ] = None,
    resize_mode: Annotated[ResizeMode | None, _PICTURES(help="How pictures fit.")] = None,
    resize: Annotated[
        tuple[int, int] | None, _PICTURES(metavar="W H", help="Resize before placing.")
    ] = None,
    crop: Annotated[
        tuple[int, int, int, int] | None, _PICTURES(metavar="LEFT TOP RIGHT BOTTOM")
    ] = None,
    blur: Annotated[float | None, _PICTURES(help="Radius in pixels.")] = None,
    sharpen: Annotated[float | None, _PICTURES(help="1 is full strength.")] = None,
    emboss: Annotated[float | None, _PICTURES(help="1 is full strength.")] = None,
    edge_enhance: Annotated[float | None, _PICTURES(help="1 is full strength.")] = None,
    brightness: Annotated[float | None, _PICTURES(help="1 changes nothing.")] = None,
    contrast: Annotated[float | None, _PICTURES(help="1 changes nothing.")] = None,
    saturation: Annotated[float | None, _PICTURES(help="1 changes nothing.")] = None,
) -> JobSpec:
    """The spec that the options give; raises `InputError` where they make none."""
    preprocessing = _given(
        resize=resize,
        crop=crop,
        blur=blur,
        sharpen=sharpen,
        emboss=emboss,
        edge_enhance=edge_enhance,
        brightness=brightness,
        contrast=contrast,
        saturation=saturation,
    )
    fields = _given(
        rows=rows,
        cols=cols,
        cell_size=cell_size,
        margin=margin,
        font_size=font_size,
        background=_color(background),
        title=title,
        overflow=overflow,
        sort=sort,
        stack_duplicates=stack_duplicates,
        axes="auto" if auto_axes else _given(rows_by=rows_by, cols_by=cols_by) or None,
        template=template,
        format=output_format,
        quality=quality,
        labels=_split(labels) if labels else None,
        csv_encoding=csv_encoding,
        label_position=label_position,
        use_clip=use_clip,
        clip_model=clip_model,
        min_confidence=min_confidence,
        candidates=_candidates(candidates, candidates_file),
        vocabulary=vocabulary,
        prompt_templates=prompt_templates or None,
        resize_mode=resize_mode,
        preprocessing=preprocessing or None,
    )
    try:
        spec = spec_from(fields)
    except ValidationError as error:
        raise InputError(_option_errors(error)) from error
    if save_as:
        save_template(save_as, spec)
    return spec


def takes_spec(command: Callable[..., ResultT]) -> Callable[..., ResultT]:
    """Give `command` the options of `spec_options`; it gets the spec as its argument `spec`.

    A template that it names is built in or saved on this machine.
    """
    return _takes_spec(command, of_service=False)


def takes_service_spec(command: Callable[..., ResultT]) -> Callable[..., ResultT]:
    """The same for a service, which may know more templates."""
    return _takes_spec(command, of_service=True)


def _takes_spec(command: Callable[..., ResultT], *, of_service: bool) -> Callable[..., ResultT]:
    shared = inspect.signature(spec_options).parameters
    own = inspect.signature(command).parameters

    @functools.wraps(command)
    def run(**given: Any) -> ResultT:
        options = {name: given.pop(name) for name in shared}
        spec = spec_options(**options)
        if spec.template and not of_service:
            check_template(spec.template)
        return command(spec=spec, **given)

    # typer reads a command's options off its signature.
    parameters = [
        *(parameter for name, parameter in own.items() if name != "spec"),
        *shared.values(),
    ]
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # functions may have one
        [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    )
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def with_format_of(spec: JobSpec, output: Path) -> JobSpec:
    """`spec` with the format that the name of `output` says; raises `InputError` when it says none,
    or another than the spec.
    """
    try:
        by_name = SheetFormat(output.suffix[1:])
    except ValueError:
        known = ", ".join(SheetFormat)
        raise InputError(f"{output}: no format by its name; known are {known}, jpeg, tif") from None
    if "format" in spec.model_fields_set and spec.format is not by_name:
        raise InputError(
            f"{output}: its name says {by_name}, but the format asked is {spec.format}"
        )
    return spec.model_copy(update={"format": by_name})


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _split(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(part.strip() for text in texts for part in text.split(",") if part.strip())


def _candidates(texts: Sequence[str] | None, file: Path | None) -> tuple[str, ...] | None:
    if texts is None and file is None:
        return None
    try:
        lines = file.read_text(encoding="utf-8").splitlines() if file else []
    except UnicodeDecodeError as error:
        raise InputError(f"--candidates-file {file}: not UTF-8: {error}") from error
    return (*_split(texts or ()), *(line.strip() for line in lines if line.strip()))


def _color(text: str | None) -> str | list[int] | None:
    if text and re.fullmatch(r"\d+\s*,\s*\d+\s*,\s*\d+", text):
        return [int(part) for part in text.split(",")]
    return text


def _option_errors(error: ValidationError) -> str:
    """Each error with the option it is about, in one line."""
    errors = []
    for entry in error.errors():
        names = [part for part in entry["loc"] if isinstance(part, str)]
        option = "--" + (names[-1] if names else "spec").replace("_", "-")
        errors.append(f"{option}: {entry['msg']}")
    return "; ".join(errors)
