import pytest

from shared.job_spec import JobSpec
from shared.labels import known_metadata, label_warnings, needs_caption, resolve_label
from shared.schemas import ImageCaption, JobWarning, LabelSource, SourceImage
from shared.sheet_labels import resolve_labels


def image(**known: object) -> SourceImage:
    given: dict[str, object] = {
        "name": "img_1.final.png",
        "key": "k",
        "media_type": "image/png",
        "width": 1,
        "height": 1,
        "bytes": 1,
        "sha256": "0",
    }
    return SourceImage.model_validate(given | known)


def spec(*labels: str, clip: bool = False) -> JobSpec:
    return JobSpec(labels=labels, use_clip=clip)


FOX = ImageCaption(text="red fox", confidence=0.8, model="m")


@pytest.mark.parametrize(
    ("row", "labels", "text"),
    [
        ({"filename": "a", "prompt": "p", "seed": "7"}, ("seed",), "7"),
        ({"filename": "a", "prompt": "p", "seed": "7"}, ("seed", "prompt"), "seed: 7\nprompt: p"),
        ({"filename": "a", "prompt": "", "seed": "7"}, ("prompt", "seed"), "seed: 7"),
        ({"filename": "a", "seed": "7"}, ("filename",), "a"),
        ({"filename": "a", "Seed": "7", "CFG": "4"}, ("seed", "cfg"), "seed: 7\ncfg: 4"),
        ({"filename": "a", "prompt": "p", "Label": "l"}, (), "l"),
        ({"filename": "a", "prompt": "p", "title": ""}, (), "p"),
        ({"filename": "a", "seed": "7", "cfg": "", "steps": "20"}, (), "seed: 7\nsteps: 20"),
        ({"filename": "a", "seed": "7"}, (), "7"),
    ],
)
def test_csv_row_gives_the_asked_columns_or_the_telling_ones(
    row: dict[str, str], labels: tuple[str, ...], text: str
) -> None:
    resolved = resolve_label(image(csv_row=row), spec(*labels), None, has_csv=True)
    assert (resolved.text, resolved.source, resolved.falls) == (text, LabelSource.CSV, ())


def test_sources_win_in_order() -> None:
    row, metadata = {"filename": "a", "prompt": "from csv"}, {"prompt": "from metadata"}
    asked = spec("prompt", clip=True)
    every = image(csv_row=row, label="given", metadata=metadata)
    assert resolve_label(every, asked, FOX, has_csv=True).source is LabelSource.CSV
    given = image(label="given", metadata=metadata)
    assert resolve_label(given, asked, FOX, has_csv=False).text == "given"
    looked_up = resolve_label(image(metadata=metadata), asked, FOX, has_csv=False)
    assert (looked_up.text, looked_up.source) == ("from metadata", LabelSource.REQUEST)
    clip = resolve_label(image(), asked, FOX, has_csv=False)
    assert (clip.text, clip.source, clip.confidence) == ("red fox", LabelSource.CLIP, 0.8)
    name = resolve_label(image(), spec(), None, has_csv=False)
    assert (name.text, name.source) == ("img_1.final", LabelSource.FILENAME)
    assert (name.confidence, name.falls) == (None, ())


EMBEDDED: dict[str, object] = {"prompt": "from the file", "seed": 9}


def test_what_the_file_says_comes_after_the_request_and_before_clip() -> None:
    asked = spec("prompt", clip=True)
    given = image(metadata={"prompt": "from metadata"})
    assert resolve_label(given, asked, FOX, has_csv=False, embedded=EMBEDDED).source == "request"
    resolved = resolve_label(image(), asked, FOX, has_csv=False, embedded=EMBEDDED)
    assert (resolved.text, resolved.source) == ("from the file", LabelSource.EMBEDDED)
    assert (resolved.confidence, resolved.falls) == (None, ())
    without = resolve_label(image(), spec("cfg", clip=True), FOX, has_csv=False, embedded=EMBEDDED)
    assert without.source is LabelSource.CLIP
    assert [fall.code for fall in without.falls] == ["no_metadata"]


def test_what_the_file_says_is_not_drawn_unasked() -> None:
    resolved = resolve_label(image(), spec(), None, has_csv=False, embedded=EMBEDDED)
    assert resolved.source is LabelSource.FILENAME


def test_a_column_that_the_winning_source_lacks_comes_from_the_next_one() -> None:
    asked = spec("rating", "prompt", "seed")
    known = image(csv_row={"filename": "a", "rating": "5"}, metadata={"prompt": "from metadata"})
    resolved = resolve_label(known, asked, None, has_csv=True, embedded=EMBEDDED)
    assert resolved.text == "rating: 5\nprompt: from metadata\nseed: 9"
    assert (resolved.source, resolved.falls) == (LabelSource.CSV, ())


def test_csv_without_a_row_for_one_image_does_not_switch_clip_off() -> None:
    resolved = resolve_label(image(), spec(clip=True), FOX, has_csv=True)
    assert resolved.source is LabelSource.CLIP
    assert [fall.code for fall in resolved.falls] == ["no_csv_row"]


def test_metadata_values_are_drawn_as_json_except_text() -> None:
    metadata = {"seed": 7, "hires": True, "loras": ["ä"], "prompt": None}
    resolved = resolve_label(
        image(metadata=metadata), spec("seed", "hires", "loras", "prompt"), None, has_csv=False
    )
    assert resolved.text == 'seed: 7\nhires: true\nloras: ["ä"]'


@pytest.mark.parametrize(
    ("known", "asked", "caption", "has_csv", "codes"),
    [
        ({}, spec(), None, True, ["no_csv_row"]),
        ({"csv_row": {"filename": "a"}}, spec(), None, True, ["empty_csv_row"]),
        ({"csv_row": {"filename": "a", "p": ""}}, spec("p"), None, True, ["empty_csv_row"]),
        ({}, spec("p"), None, False, ["no_metadata"]),
        ({"metadata": {"q": 1}}, spec("p"), None, True, ["no_csv_row", "no_metadata"]),
        ({}, spec(clip=True), None, False, ["no_caption"]),
        (
            {},
            spec(clip=True),
            ImageCaption(reason="not sure: 0.1 is below 0.3", fallback=True),
            True,
            ["no_csv_row", "clip_abstained"],
        ),
        (
            {},
            spec(clip=True),
            ImageCaption(text="fox", fallback=True, reason="`a` cannot be loaded; `b` was used"),
            False,
            ["clip_fallback"],
        ),
    ],
)
def test_every_fall_from_an_asked_source_is_told(
    known: dict[str, object],
    asked: JobSpec,
    caption: ImageCaption | None,
    has_csv: bool,
    codes: list[str],
) -> None:
    resolved = resolve_label(image(**known), asked, caption, has_csv=has_csv)
    assert [fall.code for fall in resolved.falls] == codes


@pytest.mark.parametrize(
    ("known", "asked", "has_csv", "codes"),
    [
        ({}, spec("seed"), True, ["no_csv_row"]),
        ({"metadata": {"q": 1}}, spec("seed"), False, ["no_metadata"]),
        ({"metadata": {"q": 1}}, spec("seed"), True, ["no_csv_row", "no_metadata"]),
        ({}, spec("cfg"), True, ["no_csv_row", "no_metadata"]),
        ({}, spec("rating"), True, ["no_csv_row"]),
    ],
)
def test_every_fall_to_and_past_the_file_is_told(
    known: dict[str, object], asked: JobSpec, has_csv: bool, codes: list[str]
) -> None:
    resolved = resolve_label(image(**known), asked, None, has_csv=has_csv, embedded=EMBEDDED)
    assert [fall.code for fall in resolved.falls] == codes


def test_warnings_name_image_reason_and_the_source_that_won() -> None:
    resolved = resolve_label(
        image(), spec(clip=True), ImageCaption(reason="0.1 is below 0.3"), has_csv=False
    )
    assert label_warnings(4, "img_1.final.png", resolved) == (
        JobWarning(
            code="clip_abstained",
            detail="img_1.final.png: 0.1 is below 0.3; labeled from: filename",
            image=4,
        ),
    )


@pytest.mark.parametrize(
    ("known", "asked", "expected"),
    [
        ({}, spec(clip=True), True),
        ({}, spec(), False),
        ({"label": "l"}, spec(clip=True), False),
        ({"label": "  "}, spec(clip=True), True),
        ({"csv_row": {"filename": "a", "prompt": "p"}}, spec(clip=True), False),
        ({"csv_row": {"filename": "a", "prompt": ""}}, spec("prompt", clip=True), True),
        ({"metadata": {"prompt": "p"}}, spec("prompt", clip=True), False),
        ({"metadata": {"prompt": "p"}}, spec(clip=True), True),
    ],
)
def test_clip_is_asked_only_for_images_nothing_else_labels(
    known: dict[str, object], asked: JobSpec, expected: bool
) -> None:
    assert needs_caption(image(**known), asked) is expected


def test_clip_is_not_asked_where_the_file_has_what_was_asked_for() -> None:
    assert not needs_caption(image(), spec("seed", clip=True), EMBEDDED)
    assert needs_caption(image(), spec("cfg", clip=True), EMBEDDED)
    assert needs_caption(image(), spec(clip=True), EMBEDDED)


def smart(
    *images: SourceImage, files: list[dict[str, object]], clip: bool = False, csv: bool = False
) -> list[tuple[str, LabelSource, list[str]]]:
    """Text, source and codes of the falls for each image; FOX is the caption of the last one."""
    captions = {len(images) - 1: FOX} if clip else {}
    found = resolve_labels(images, spec("auto", clip=clip), captions, has_csv=csv, embedded=files)
    return [(it.text, it.source, [fall.code for fall in it.falls]) for it in found.labels]


def test_smart_labels_come_from_the_best_source_that_knows_what_varies() -> None:
    shown = smart(
        image(csv_row={"filename": "a", "Seed": "1", "rating": ""}),
        image(metadata={"seed": 2}),
        image(),
        image(csv_row={"filename": "d", "cfg": "7"}),
        files=[{"seed": 9, "cfg": 7}, {"cfg": 7}, {"seed": 3, "cfg": 7}, {"seed": 4}],
        csv=True,
    )
    assert shown == [
        ("seed 1", LabelSource.CSV, []),
        ("seed 2", LabelSource.REQUEST, ["no_csv_row"]),
        ("seed 3", LabelSource.EMBEDDED, ["no_csv_row"]),
        ("seed 4", LabelSource.EMBEDDED, []),
    ]


def test_smart_labels_fall_to_clip_and_filename_with_a_reason() -> None:
    same: dict[str, object] = {"seed": 1}
    assert smart(image(), image(), files=[same, {}], clip=True) == [
        ("img_1.final", LabelSource.FILENAME, ["nothing_varies", "no_caption"]),
        ("red fox", LabelSource.CLIP, ["no_metadata"]),
    ]


def test_with_smart_labels_clip_is_asked_where_nothing_at_all_is_known() -> None:
    asked = spec("auto", clip=True)
    assert needs_caption(image(), asked)
    assert needs_caption(image(csv_row={"filename": "a", "rating": ""}), asked)
    assert not needs_caption(image(csv_row={"filename": "a", "rating": "5"}), asked)
    assert not needs_caption(image(label="mine"), asked)
    assert not needs_caption(image(), asked, EMBEDDED)
    assert not needs_caption(image(), spec("auto"))


def test_all_that_is_known_comes_from_the_best_source_that_has_it() -> None:
    embedded = {"seed": 1, "steps": 20, "cfg": 7, "model": "m"}
    known = known_metadata(
        image(
            metadata={"cfg": 8, "model": None, "note": [1]}, csv_row={"filename": "a", "SEED": "3"}
        ),
        embedded,
    )
    assert known == {"filename": "a", "SEED": "3", "cfg": 8, "note": [1], "steps": 20, "model": "m"}
    assert known_metadata(image(csv_row={"seed": ""}), embedded)["seed"] == 1
    assert known_metadata(image(csv_row={"seed": ""}), {}) == {"seed": ""}


@pytest.mark.parametrize("labels", [(), ("seed",), ("auto",)])
def test_a_correction_stands_whatever_the_sources_say(labels: tuple[str, ...]) -> None:
    asked = spec(*labels, clip=True)
    rows = [{"filename": "a", "seed": seed} for seed in ("1", "2")]
    images = [image(csv_row=rows[0], label="x", correction="Fixed"), image(csv_row=rows[1])]
    assert not needs_caption(images[0], asked)
    resolved = resolve_labels(images, asked, {0: FOX}, has_csv=True, embedded=[{}, {}])
    corrected, other = resolved.labels
    assert (corrected.text, corrected.source) == ("Fixed", LabelSource.REQUEST)
    assert corrected.falls == ()
    assert "2" in other.text
