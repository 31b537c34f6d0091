import pytest

from shared.csv_labels import MAX_VALUE, check_columns, match_rows, parse_csv
from shared.errors import ErrorCode, GridscribeError
from shared.job_spec import CsvEncoding, JobSpec


def rejection(data: bytes) -> str:
    with pytest.raises(GridscribeError) as caught:
        parse_csv(data)
    assert caught.value.code is ErrorCode.BAD_CSV
    return caught.value.detail


def test_plain_csv_gives_columns_rows_and_their_lines() -> None:
    table = parse_csv(b'filename,prompt\na.png,"one\ntwo"\n\nb.png, three \n')
    assert table.columns == ("filename", "prompt")
    assert [(row.line, row.filename, row.values["prompt"]) for row in table.rows] == [
        (2, "a.png", "one\ntwo"),
        (5, "b.png", "three"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("header", ["filename", "Filename", "FILE", "file_name", "image"])
def test_encoding_delimiter_and_header_are_found(
    encoding: str, delimiter: str, header: str
) -> None:
    text = f"{header}{delimiter}prompt\r\na.png{delimiter}Füchse\r\n"
    (row,) = parse_csv(text.encode(encoding)).rows
    assert row.filename == "a.png"
    assert row.values["prompt"] == "Füchse"


@pytest.mark.parametrize("encoding", CsvEncoding)
def test_another_encoding_is_read_where_it_is_named(encoding: CsvEncoding) -> None:
    data = "Filename;prompt\r\na.png;zwölf Füchse\r\n".encode(encoding)
    table = parse_csv(data, encoding)
    assert table.rows[0].values["prompt"] == "zwölf Füchse"
    assert match_rows(table, ["a.png"]).warnings == ()


@pytest.mark.parametrize("encoding", ["latin-1", "windows-1252"])
def test_western_letters_are_read_unnamed_too_and_said_to_be_a_guess(encoding: str) -> None:
    table = parse_csv("filename,prompt\na.png,zwölf Füchse\n".encode(encoding))
    match = match_rows(table, ["a.png"])
    assert match.rows == ({"filename": "a.png", "prompt": "zwölf Füchse"},)
    assert [warning.code for warning in match.warnings] == ["csv_encoding_guessed"]
    assert "save it as UTF-8" in match.warnings[0].detail


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("filename,l\na,Füchse\n".encode() + b"b,F\xfcchse\n", "line 3: byte 0xfc is not UTF-8"),
        (b"\xef\xbb\xbffilename,l\na,F\xfcchse\n", "line 2: byte 0xfc is not UTF-8"),
        (b"filename,l\na,\x81\n", "line 2: byte 0x81 is not UTF-8"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "line 2: byte 0x1a is in no text"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "byte 0x00 is in no text"),
    ],
)
def test_nothing_is_guessed_of_damaged_text_and_of_no_text(data: bytes, message: str) -> None:
    found = rejection(data)
    assert message in found
    assert "save" in found


def test_a_named_encoding_does_not_turn_a_picture_into_text() -> None:
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    with pytest.raises(GridscribeError, match="line 2: byte 0x1a is in no text"):
        parse_csv(picture, CsvEncoding.LATIN_1)


def test_delimiter_is_the_one_under_which_the_header_names_the_file() -> None:
    table = parse_csv(b"filename;size, in px;a, b, c\nx.png;1,2;3\n")
    assert table.columns == ("filename", "size, in px", "a, b, c")


def test_unnamed_columns_and_rows_of_blanks_are_left_out() -> None:
    table = parse_csv(b",filename,label,\n0,a.png,fox,\n,,,\n1,b.png,owl,,\n")
    assert table.columns == ("filename", "label")
    assert [row.values for row in table.rows] == [
        {"filename": "a.png", "label": "fox"},
        {"filename": "b.png", "label": "owl"},
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf \n", "the file is empty"),
        (b"filename,l\na\0,b\n", "line 2 holds a NUL byte"),
        (b"\xff\xfea", "not valid UTF-16"),
        (b"name,label\na,b\n", "no column 'filename' to match images by; it names 'name', 'label'"),
        (b"filename,l,l\na,b,c\n", "line 1 names 'l' more than once"),
        (b"filename,l\na,b,c\n", "line 2 has 3 value(s), but line 1 names 2 column(s)"),
        (b"filename,l\na\n", "line 2 has 1 value(s), but line 1 names 2 column(s)"),
        (b'filename,l\na,b\nc,"d\n', "line 3: unexpected end of data"),
        (b'filename,l\na,"b" c\n', "line 2: ',' expected after '\"'"),
        (b'filename,"l\n', "line 1: unexpected end of data"),
        (b"filename,l\na," + b"x" * (MAX_VALUE + 1), "line 2, column 'l': 10001 characters"),
        (b"filename,l\na," + b"x" * 200_000, "line 2: field larger than field limit"),
        (b"filename," + b"x" * 201 + b"\n", "201 characters; at most 200"),
        (b"filename" + b",c" * 300, "line 1 names 301 columns"),
        (b"filename\n" + b"a\n" * 100_001, "line 100002: more than 100000 rows"),
    ],
)
def test_bad_files_are_refused_with_what_and_where(data: bytes, message: str) -> None:
    assert message in rejection(data)


def matched_labels(rows: str, names: list[str]) -> list[str | None]:
    match = match_rows(parse_csv(f"filename,label\n{rows}".encode()), names)
    return [row["label"] if row else None for row in match.rows]


@pytest.mark.parametrize(
    ("row_name", "image_name"),
    [
        ("a.png", "a.png"),
        ("renders/a.png", "a.png"),
        ("C:\\renders\\a.png", "a.png"),
        ("a", "a.png"),
        ("a.exr", "a.png"),
        ("A.PNG", "a.png"),
        ("e\u0301.png", "\u00e9.png"),
    ],
)
def test_row_is_found_by_name_base_name_stem_and_without_case(
    row_name: str, image_name: str
) -> None:
    assert matched_labels(f"{row_name},x\n", [image_name]) == ["x"]


def test_stricter_match_wins_whatever_the_order() -> None:
    assert matched_labels("A.png,upper\na.png,lower\n", ["a.png", "A.png"]) == ["lower", "upper"]
    assert matched_labels("a,stem\nx/a.png,base\na.png,full\n", ["a.png"]) == ["full"]
    assert matched_labels("a,stem\nx/a.png,base\n", ["a.png"]) == ["base"]
    assert matched_labels("A.png,other case\na,stem\n", ["a.png"]) == ["stem"]
    assert matched_labels("x/a.png,x\ny/a.png,y\n", ["y/a.png", "x/a.png"]) == ["y", "x"]
    assert matched_labels("a.png,x\n", ["a.jpg", "a.png"]) == [None, "x"]


def test_duplicates_and_rows_without_image_leave_warnings() -> None:
    table = parse_csv(b"filename,label\na.png,first\na.png,second\nb.png,\n,nameless\n")
    match = match_rows(table, ["a.png", "c.png"])
    assert [row and row["label"] for row in match.rows] == ["first", None]
    assert [(w.code, w.image) for w in match.warnings] == [
        ("csv_duplicate_row", 0),
        ("csv_row_without_image", None),
    ]
    assert "lines 2, 3" in match.warnings[0].detail
    assert "2 row(s) of the CSV: line 4 ('b.png'), 5 ('')" in match.warnings[1].detail


def test_asked_column_may_be_in_the_csv_or_in_the_metadata_of_an_image() -> None:
    table = parse_csv(b"filename,prompt\na.png,x\n")
    check_columns(JobSpec(labels=("prompt", "seed")), table, [{}, {"seed": 1}])


def test_columns_are_found_in_any_case_and_smart_labels_ask_for_none() -> None:
    table = parse_csv(b"Filename,Rating\na.png,5\n")
    check_columns(JobSpec(labels=("rating",)), table, [])
    check_columns(JobSpec(labels=("auto",)), table, [])


def test_asked_column_may_be_one_that_files_carry() -> None:
    table = parse_csv(b"filename,rating\na.png,5\n")
    check_columns(JobSpec(labels=("rating", "seed", "negative_prompt", "tool")), table, [])


def test_unknown_column_is_named_with_those_there_are() -> None:
    table = parse_csv(b"filename,prompt\na.png,x\n")
    with pytest.raises(
        GridscribeError, match="no column 'promt'; there are 'filename', "
    ) as caught:
        check_columns(JobSpec(labels=("prompt", "promt")), table, [])
    assert caught.value.code is ErrorCode.UNKNOWN_COLUMN
    assert caught.value.errors[0].location == "spec.labels[1]"


def test_columns_are_not_checked_without_a_csv() -> None:
    check_columns(JobSpec(labels=("prompt",)), None, [{}])
