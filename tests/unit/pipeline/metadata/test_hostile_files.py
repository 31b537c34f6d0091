"""Whatever the bytes are: no exception, no long wait, nothing that cannot be stored."""

import io
import json
import random
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.parameters import PARAMETERS
from tests.unit.pipeline.metadata.carriers import (
    exif,
    jpeg,
    png,
    png_with_chunk,
    user_comment,
    webp,
    xmp,
)
from tests.unit.pipeline.metadata.documents import (
    FOOOCUS,
    INFOTEXT,
    INVOKE,
    NOVEL,
    SWARM,
    Graph,
    classic_graph,
    flux_graph,
    node,
)
from worker.pipeline.metadata.embedded import interpret, read_embedded, read_metadata
from worker.pipeline.metadata.text_fields import read_text_fields

MEBIBYTE = 1024 * 1024
INFO = "Steps: 20, Seed: 5, Sampler: Euler a"


class CountingFile(io.BytesIO):
    """Knows how many bytes were read of it."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


@contextmanager
def soon(seconds: float = 3) -> Iterator[None]:
    """Far above what it takes, far below what reading it all or walking in circles would."""
    begun = time.process_time()
    yield
    assert time.process_time() - begun < seconds


def read(data: bytes) -> dict[str, Any]:
    with soon():
        found = read_metadata(io.BytesIO(data))
    json.dumps(found, allow_nan=False).encode()
    "".join(str(value) for value in found.values()).encode()
    return dict(found)


def test_a_text_of_fifty_megabytes_is_stepped_over() -> None:
    huge = b"parameters\0" + b"x" * (50 * MEBIBYTE)
    file = CountingFile(png_with_chunk(b"tEXt", huge))
    assert read_metadata(file) == {}
    assert file.taken < 1000


def test_what_nobody_asks_for_is_not_read() -> None:
    file = CountingFile(png(parameters=f"a fox\n{INFO}", workflow="x" * MEBIBYTE))
    assert read_metadata(file)["prompt"] == "a fox"
    assert file.taken < 2000


def test_a_text_that_unpacks_to_gigabytes_is_given_up() -> None:
    packed = zlib.compress(bytes(64 * MEBIBYTE), 9)
    bombs = [
        png_with_chunk(b"zTXt", b"parameters\0\0" + packed),
        png_with_chunk(b"iTXt", b"parameters\0\1\0\0\0" + packed),
    ]
    for bomb in bombs:
        tracemalloc.start()
        assert read(bomb) == {}
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 16 * MEBIBYTE


def test_what_is_too_long_to_be_read_is_named() -> None:
    packed = zlib.compress(bytes(64 * MEBIBYTE), 9)
    long_texts = [
        png_with_chunk(b"zTXt", b"parameters\0\0" + packed),
        png_with_chunk(b"iTXt", b"parameters\0\1\0\0\0" + packed),
        png_with_chunk(b"tEXt", b"parameters\0" + bytes(5 * MEBIBYTE)),
    ]
    for data in long_texts:
        assert read_embedded(io.BytesIO(data)) == ({}, ("parameters",))
    for data in (png(parameters=f"a fox\n{INFO}"), png_with_chunk(b"zTXt", b"Thumb\0\0" + packed)):
        assert read_embedded(io.BytesIO(data)).too_long == ()
    assert read_embedded(io.BytesIO(webp(exif=bytes(5 * MEBIBYTE)))).too_long == ("EXIF",)


def test_a_text_that_comes_thousands_of_times_counts_once() -> None:
    packet = b"http://ns.adobe.com/xap/1.0/\0" + xmp("dc:description", "a fox " * 1000)
    segment = b"\xff\xe1" + struct.pack(">H", len(packet) + 2) + packet
    data = jpeg(exif=user_comment("a" * 6000))
    many = data[:2] + segment * 3000 + data[2:]
    with soon():
        texts, too_long = read_text_fields(io.BytesIO(many))
    assert texts["ImageDescription"].startswith("a fox a fox")
    assert texts["UserComment"] == "a" * 6000
    assert too_long == ()


def test_a_thousand_bombs_cost_no_more_than_one() -> None:
    bomb = b"parameters\0\0" + zlib.compress(bytes(64 * MEBIBYTE), 9)
    chunk = struct.pack(">I4s", len(bomb), b"zTXt") + bomb + bytes(4)
    assert read(png_with_chunk(b"tIME", b"")[:45] + chunk * 1000) == {}


def test_millions_of_empty_chunks_end() -> None:
    assert read(png_with_chunk(b"tIME", b"")[:45] + bytes(12) * 2_000_000) == {}


def test_exif_tags_that_share_one_large_value_are_read_once() -> None:
    value = b"UNICODE\0" + bytes(3 * MEBIBYTE)
    entries = struct.pack("<HHII", 0x9286, 7, len(value), 8 + 2 + 12 * 60_000) * 60_000
    data = b"II*\0" + struct.pack("<IH", 8, 60_000) + entries + value
    assert read(png_with_chunk(b"eXIf", data)) == {}


def test_directories_in_a_circle_end() -> None:
    entry = struct.pack("<HHII", 0x8769, 4, 1, 8)
    data = b"II*\0" + struct.pack("<IH", 8, 1) + entry
    assert read(png_with_chunk(b"eXIf", data)) == {}


@pytest.mark.parametrize("depth", [500, 5_000, 500_000])
def test_deep_json_says_nothing(depth: int) -> None:
    deep = '{"a":' * depth + "1" + "}" * depth
    for keyword in ("prompt", "parameters", "Comment", "invokeai_metadata"):
        assert read(png({keyword: deep})) == {}


def test_a_graph_of_circles_gives_what_stands_on_its_way() -> None:
    graph = {
        "1": node("A", positive=["2", 0], negative=["1", 0], seed=["1", 0], latent_image=["2", 0]),
        "2": node("B", positive=["1", 0], text=["3", 0], samples=["2", 0], model=["1", 0], cfg=7),
        "3": node("C", text_a=["4", 0], text_b=["3", 0], string_c="a fox"),
        "4": node("D", text=["3", 0]),
    }
    with soon():
        assert interpret({"prompt": json.dumps(graph)}) == {}
    graph["2"]["inputs"].pop("positive")
    with soon():
        assert interpret({"prompt": json.dumps(graph)})["prompt"] == "a fox"


def chain(length: int) -> Graph:
    """Each node links to the two before it in every way that is followed."""
    names = ("positive", "guider", "model", "noise", "sigmas", "sampler", "latent_image", "samples")
    links = ("text_a", "text_b", "seed", "cfg", "steps", "width", "guidance", "lora_name", *names)
    return {
        str(n): node("X", **{name: [n + 1 + at % 2, 0] for at, name in enumerate(links)})
        for n in range(length)
    }


def doubling(length: int) -> Graph:
    graph = {
        str(n): node("X", text_a=[n + 1, 0], text_b=[f"{n}b", 0], delimiter="")
        for n in range(length)
    }
    graph |= {f"{n}b": node("X", text_a="x", text_b=[n + 1, 0]) for n in range(length)}
    graph[str(length)] = node("X", text="fox" * 1000)
    return graph | {"sampler": node("KSampler", positive=["0", 0], seed=1)}


def nested_texts(length: int) -> Graph:
    graph = {str(n): node("X", text_a=[n + 1, 0]) for n in range(length)}
    return graph | {"sampler": node("KSampler", positive=["0", 0], seed=1)}


@pytest.mark.parametrize(
    "graph",
    [
        chain(1_900),
        nested_texts(1_900),
        chain(12_000),
        doubling(60),
        {"1": node("K", positive=["1", 0], seed=1, **{f"a{n}": ["1", 0] for n in range(100_000)})},
        {
            str(n): node("K", positive=[n, 0], seed=["x", 0], latent_image=[0, 0])
            for n in range(1_999)
        },
    ],
    ids=["long", "texts", "too long", "doubling", "wide", "samplers"],
)
def test_large_graphs_are_walked_soon(graph: Graph) -> None:
    text = json.dumps(graph)
    with soon():
        found = interpret({"prompt": text})
    assert len(str(found)) < 30_000


def test_a_graph_larger_than_anybody_draws_is_not_read() -> None:
    beside = {f"note {n}": node("Note") for n in range(2_000)}
    assert interpret({"prompt": json.dumps(classic_graph())})["seed"]
    assert interpret({"prompt": json.dumps(classic_graph() | beside)}) == {}


@pytest.mark.parametrize(
    "prompt",
    ["<lora:" + "a" * 3_000_000, "<lora:a:" * 400_000, "<lora:a:1" + ":" * 3_000_000],
    ids=["name", "many", "weight"],
)
def test_a_lora_that_never_ends_is_passed_over_soon(prompt: str) -> None:
    found = read(png(parameters=f"{prompt}\n{INFO}"))
    assert found["steps"] == 20
    assert "loras" not in found


@pytest.mark.parametrize(
    "settings_line",
    ['Steps: 1, A: "' + '\\"' * 1_500_000, "Steps: 1" + "," * 3_000_000, "Steps: 1\n" * 400_000],
)
def test_settings_that_never_end_are_read_soon(settings_line: str) -> None:
    assert read(png(parameters=f"a fox\n{settings_line}"))["steps"] == 1


@pytest.mark.parametrize("inner", ["<" * 3_000_000, "<a>" * 1_000_000, "&amp" * 700_000])
def test_a_packet_of_tags_is_searched_soon(inner: str) -> None:
    packet = f"<exif:UserComment>{inner}</exif:UserComment>"
    assert read(webp(xmp=packet.encode())) == {}


def test_numbers_that_are_none_are_left_out() -> None:
    graph = classic_graph()
    graph["3"]["inputs"] |= {"seed": 10**400, "steps": float("nan"), "cfg": float("inf")}
    graph["3"]["is_changed"] = [float("nan")]
    found = read(png(prompt=json.dumps(graph)))
    assert found["prompt"] == "a red fox"
    assert not {"seed", "steps", "cfg"} & found.keys()
    infotext = f"a fox\nSteps: 20, Seed: {'9' * 5000}, CFG scale: 1e999, Size: 0x{10**9}"
    assert read(png(parameters=infotext)) == {"prompt": "a fox", "steps": 20, "tool": "A1111"}


def test_text_that_no_encoding_can_hold_is_cleaned() -> None:
    broken = f"a \udc80fox\0 \x1b[31m\n{INFO}".encode("utf-8", "surrogatepass")
    found = read(png_with_chunk(b"tEXt", b"parameters\0" + broken))
    assert "fox" in found["prompt"]
    lone = json.dumps(
        {"sui_image_params": {"prompt": "a \ud800 fox\0", "steps": True, "seed": [1]}}
    )
    assert read(png(parameters=lone)) == {"prompt": "a  fox", "tool": "SwarmUI"}


def test_values_of_the_wrong_kind_are_left_out() -> None:
    wrong: list[Any] = [None, True, [], [[]], {}, {"a": {}}, -1.5, "x", ["x", 0], [["x"]]]
    documents: list[dict[str, Any]] = [
        SWARM["sui_image_params"],
        FOOOCUS,
        INVOKE,
        json.loads(NOVEL["Comment"]),
    ]
    for document in documents:
        for key in document:
            for value in wrong:
                changed = json.dumps({**document, key: value})
                for fields in (
                    {"parameters": json.dumps({"sui_image_params": json.loads(changed)})},
                    {"parameters": changed, "fooocus_scheme": "fooocus"},
                    {"invokeai_metadata": changed},
                    {"UserComment": changed},
                    {"sd-metadata": json.dumps({"image": json.loads(changed)})},
                    {**NOVEL, "Comment": changed},
                ):
                    found = interpret(fields)
                    assert all(isinstance(known, str | int | float) for known in found.values())


FILES: list[Callable[[], bytes]] = [
    lambda: png(parameters=INFOTEXT, exif=user_comment(INFOTEXT)),
    lambda: png(prompt=json.dumps(flux_graph())),
    lambda: jpeg(exif=exif({0x010E: INFOTEXT, 0x010F: "a", 0x9286: "b"})),
    lambda: webp(exif=user_comment(json.dumps(SWARM))),
]


@pytest.mark.parametrize("make", FILES)
def test_a_file_cut_anywhere_is_no_error(make: Callable[[], bytes]) -> None:
    data = make()
    for end in range(0, len(data), 7):
        read(data[:end])


@pytest.mark.parametrize("make", FILES)
def test_a_file_with_any_byte_changed_is_no_error(make: Callable[[], bytes]) -> None:
    original, chance = make(), random.Random(1)
    for _ in range(400):
        data = bytearray(original)
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        assert read(bytes(data)).keys() <= set(PARAMETERS)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["inputs", "text", "positive", "seed", "model", "1", "2", "image"]),
            inner,
        )
    ),
    max_leaves=12,
)
links = st.tuples(st.sampled_from(["0", "1", "2", "3"]), st.integers(0, 2)).map(list)
input_names = st.sampled_from(
    ["positive", "negative", "guider", "conditioning", "text", "string_a", "lora_1", "lora_name"]
) | st.sampled_from(
    ["seed", "cfg", "sigmas", "model", "latent_image", "samples", "width", "height", ""]
)
graphs = st.dictionaries(
    st.sampled_from(["0", "1", "2", "3"]),
    st.fixed_dictionaries(
        {
            "class_type": st.text(max_size=3),
            "inputs": st.dictionaries(input_names, links | json_values),
        }
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["prompt", "parameters", "Comment", "sd-metadata"]), graphs))
def test_no_document_is_an_error(documents: dict[str, Any]) -> None:
    fields = {name: json.dumps(document) for name, document in documents.items()}
    assert interpret(fields).keys() <= set(PARAMETERS)
