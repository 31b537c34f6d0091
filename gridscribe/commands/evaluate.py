"""The command that measures captions against the truth."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from gridscribe.commands.connection import AsJson
from gridscribe.console import StageProgress, err, out, print_document
from gridscribe.image_files import InputError, find_images
from gridscribe.local import LocalImage, caption_images, local_captioning
from shared.csv_labels import filename_column, match_rows, parse_csv
from shared.job_spec import JobSpec
from shared.schemas import ImageCaption
from shared.settings import Settings

if TYPE_CHECKING:
    from worker.captioning.evaluation import Evaluation


def eval_labels(
    folder: Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False)],
    truth: Annotated[
        Path,
        typer.Option(exists=True, dir_okay=False, help="A CSV with columns filename and label."),
    ],
    model: Annotated[str | None, typer.Option(help="Default: the first configured one.")] = None,
    vocabulary: Annotated[
        str | None, typer.Option(help="Default: our own; 'imagenet' for its 1000 classes.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure how well a model labels photos whose content is known."""
    labels = _read_truths(truth, find_images([folder]))
    spec = JobSpec(use_clip=True, clip_model=model, vocabulary=vocabulary)
    with contextlib.ExitStack() as stack:
        with err.status("loading the captioning model"):
            captioning = stack.enter_context(local_captioning(model))
        if reason := captioning.status().reason:
            raise InputError(f"{reason}; there is nothing to measure")
        progress = stack.enter_context(StageProgress())
        images = [LocalImage(path, None) for path in labels]
        captions = caption_images(spec, images, [{}] * len(images), captioning, progress.show)
    evaluation = _evaluated(
        spec, [(label, captions[index]) for index, label in enumerate(labels.values())], truth
    )
    if as_json:
        print_document(evaluation)
    else:
        _print(evaluation)


def _read_truths(truth: Path, images: Sequence[Path]) -> dict[Path, str]:
    """The label of each image that has one. Raises `InputError` where none has."""
    table = parse_csv(truth.read_bytes())
    match = match_rows(table, [image.name for image in images])
    key = filename_column(table.columns)
    column = next((name for name in table.columns if name.casefold() == "label"), None)
    column = column or next((name for name in table.columns if name != key), None)
    if column is None:
        raise InputError(f"{truth}: no column 'label' that says what an image shows")
    labels = {
        image: row[column]
        for image, row in zip(images, match.rows, strict=True)
        if row and row[column]
    }
    if not labels:
        raise InputError(f"{truth}: no row with a label for any of the {len(images)} images")
    if len(labels) < len(images):
        err.print(f"{len(images) - len(labels)} images have no label in {escape(str(truth))}")
    return labels


def _evaluated(
    spec: JobSpec, captions: Sequence[tuple[str, ImageCaption]], truth: Path
) -> "Evaluation":
    from worker.captioning.evaluation import evaluate
    from worker.captioning.wording import Wording

    facet = Wording.of(spec).terms(Settings().vocabularies_dir).facets[0]
    try:
        return evaluate(facet, captions)
    except ValueError as error:
        raise InputError(f"{truth}: {error}") from error


def _print(evaluation: "Evaluation") -> None:
    figures = Table("measure", "value", show_header=False)
    figures.add_row("images", str(evaluation.images))
    if evaluation.outside:
        figures.add_row("images of things the vocabulary lacks", str(evaluation.outside))
    figures.add_row("top-1", f"{evaluation.top1:.1%}")
    figures.add_row("top-5", f"{evaluation.top5:.1%}")
    figures.add_row("answered", f"{evaluation.answered:.1%}")
    if evaluation.right_when_answered is not None:
        figures.add_row("right where it answered", f"{evaluation.right_when_answered:.1%}")
    figures.add_row("calibration error", f"{evaluation.calibration_error:.3f}")
    if bar := evaluation.threshold:
        figures.add_row("threshold for 90% right", f"{bar.confidence:.2f}")
        figures.add_row("  would answer", f"{bar.answered:.1%}")
    out.print(figures)
    bins = Table("confidence", "images", "mean", "accuracy")
    for each in evaluation.bins:
        bins.add_row(
            f"{each.low:.1f} to {each.high:.1f}",
            str(each.images),
            f"{each.confidence:.2f}",
            f"{each.accuracy:.2f}",
        )
    out.print(bins)
    if evaluation.confusions:
        confusions = Table("truth", "taken for", "images")
        for confusion in evaluation.confusions:
            confusions.add_row(
                Text(confusion.truth), Text(confusion.taken_for), str(confusion.images)
            )
        out.print(confusions)
