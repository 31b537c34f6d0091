"""Every tool's parameters, out of every kind of file that it writes."""

import io
import json
from typing import Any, BinaryIO, cast

import obstore
import pytest
from obstore.store import MemoryStore
from PIL.PngImagePlugin import PngInfo
from sd_parsers import ParserManager

from tests.unit.pipeline.metadata.carriers import (
    UserCommentCode,
    exif,
    jpeg,
    picture,
    png,
    user_comment,
    webp,
    xmp,
)
from tests.unit.pipeline.metadata.documents import (
    FOOOCUS,
    FORGE_INFOTEXT,
    INFOTEXT,
    INVOKE,
    INVOKE_2,
    NOVEL,
    SWARM,
    classic_graph,
    drawing_of,
    flux_graph,
)
from worker.pipeline.metadata import values
from worker.pipeline.metadata.embedded import read_metadata


def read(data: bytes) -> dict[str, Any]:
    file = io.BytesIO(data)
    found = read_metadata(file)
    assert file.tell() == 0
    return dict(found)


A1111 = {
    "prompt": "a red fox, <lora:fur:0.8> in snow\nsecond line: 35mm",
    "negative_prompt": "blurry, lowres,\ntext",
    "seed": 1234567890,
    "steps": 20,
    "sampler": "DPM++ 2M",
    "scheduler": "Karras",
    "cfg": 7,
    "model": "dreamshaper_8",
    "size": "512x768",
    "loras": "fur:0.8",
    "tool": "A1111",
}
SWARM_FOUND = {
    "prompt": "a red fox",
    "negative_prompt": "blurry",
    "seed": 42,
    "steps": 20,
    "sampler": "dpmpp_2m",
    "scheduler": "karras",
    "cfg": 7,
    "model": "sd_xl_base_1.0",
    "size": "1024x1024",
    "loras": "fur:0.8, snow:1",
    "tool": "SwarmUI",
}
FOOOCUS_FOUND = {
    "prompt": "a red fox",
    "negative_prompt": "blurry",
    "seed": 8563985398,
    "steps": 30,
    "sampler": "dpmpp_2m_sde_gpu",
    "scheduler": "karras",
    "cfg": 4,
    "model": "juggernautXL_v8Rundiffusion",
    "size": "1152x896",
    "loras": "sd_xl_offset_example-lora_1.0:0.1",
    "tool": "Fooocus",
}
COMFY_FOUND = {
    "prompt": "a red fox",
    "negative_prompt": "blurry",
    "seed": 156680208700286,
    "steps": 20,
    "sampler": "euler",
    "scheduler": "normal",
    "cfg": 8,
    "model": "v1-5-pruned-emaonly",
    "size": "512x768",
    "loras": "fur:0.8",
    "tool": "ComfyUI",
}
NOVEL_FOUND = {
    "prompt": "a red fox",
    "negative_prompt": "blurry",
    "seed": 3141592653,
    "steps": 28,
    "sampler": "k_euler_ancestral",
    "scheduler": "karras",
    "cfg": 5,
    "model": "NovelAI Diffusion V4.5",
    "size": "832x1216",
    "tool": "NovelAI",
}

FLUX_FOUND = {
    "prompt": "a red fox",
    "seed": 219670278747233,
    "steps": 20,
    "sampler": "euler",
    "scheduler": "simple",
    "cfg": 3.5,
    "model": "flux1-dev",
    "size": "1024x768",
    "loras": "a:1, b:0.5",
    "tool": "ComfyUI",
}
FORGE_FOUND = {
    "prompt": "a red fox",
    "seed": 5,
    "steps": 8,
    "sampler": "Euler",
    "scheduler": "Simple",
    "cfg": 3.5,
    "model": "flux1-dev-bnb-nf4-v2",
    "size": "1024x1024",
    "tool": "Forge",
}
INVOKE_FOUND = {
    "prompt": "a red fox",
    "negative_prompt": "blurry",
    "seed": 99,
    "steps": 30,
    "sampler": "dpmpp_2m_k",
    "scheduler": "dpmpp_2m_k",
    "cfg": 5.5,
    "model": "Juggernaut XL v9",
    "size": "832x1216",
    "loras": "fur:0.75",
    "tool": "InvokeAI",
}

CASES = {
    "a1111 png": (png(parameters=INFOTEXT), A1111),
    "a1111 jpeg": (jpeg(exif=user_comment(INFOTEXT)), A1111),
    "a1111 webp": (webp(exif=user_comment(INFOTEXT)), A1111),
    "a1111 png exif": (png(exif=user_comment(INFOTEXT)), A1111),
    "a1111 description": (jpeg(exif=exif({0x010E: INFOTEXT})), A1111),
    "swarmui png": (png(parameters=json.dumps(SWARM)), SWARM_FOUND),
    "swarmui jpeg": (jpeg(exif=user_comment(json.dumps(SWARM))), SWARM_FOUND),
    "swarmui webp": (webp(exif=user_comment(json.dumps(SWARM))), SWARM_FOUND),
    "fooocus png": (png(parameters=json.dumps(FOOOCUS), fooocus_scheme="fooocus"), FOOOCUS_FOUND),
    "fooocus jpeg": (
        jpeg(exif=exif({0x9286: json.dumps(FOOOCUS), 0x0131: "Fooocus", 0x927C: "fooocus"})),
        FOOOCUS_FOUND,
    ),
    "fooocus webp": (webp(exif=exif({0x9286: json.dumps(FOOOCUS)})), FOOOCUS_FOUND),
    "fooocus as a1111": (
        png(parameters=INFOTEXT, fooocus_scheme="a1111"),
        A1111 | {"tool": "Fooocus"},
    ),
    "comfyui png": (
        png(prompt=json.dumps(classic_graph()), workflow=json.dumps(drawing_of(classic_graph()))),
        COMFY_FOUND,
    ),
    "comfyui webp": (
        webp(exif=exif({0x010F: "workflow:{}", 0x0110: "prompt:" + json.dumps(classic_graph())})),
        COMFY_FOUND,
    ),
    "comfyui jpeg": (
        jpeg(exif=exif({0x010E: "Workflow:{}", 0x010F: "Prompt:" + json.dumps(classic_graph())})),
        COMFY_FOUND,
    ),
    "flux png": (png(prompt=json.dumps(flux_graph())), FLUX_FOUND),
    "flux webp": (webp(exif=exif({0x0110: "prompt:" + json.dumps(flux_graph())})), FLUX_FOUND),
    "flux jpeg": (jpeg(exif=exif({0x010F: "Prompt:" + json.dumps(flux_graph())})), FLUX_FOUND),
    "novelai png": (png(NOVEL), NOVEL_FOUND),
    "novelai webp": (webp(exif=user_comment(json.dumps(NOVEL), "ascii")), NOVEL_FOUND),
    "novelai jpeg": (jpeg(exif=user_comment(json.dumps(NOVEL))), NOVEL_FOUND),
    "forge png": (png(parameters=FORGE_INFOTEXT), FORGE_FOUND),
    "forge webp": (webp(exif=user_comment(FORGE_INFOTEXT)), FORGE_FOUND),
    "forge jpeg": (jpeg(exif=user_comment(FORGE_INFOTEXT)), FORGE_FOUND),
    "invokeai png": (png(invokeai_metadata=json.dumps(INVOKE)), INVOKE_FOUND),
    "invokeai webp": (webp(exif=user_comment(json.dumps(INVOKE))), INVOKE_FOUND),
    "invokeai jpeg": (
        jpeg(exif=user_comment(json.dumps({"invokeai_metadata": json.dumps(INVOKE)}))),
        INVOKE_FOUND,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_parameters_are_found_in(case: str) -> None:
    data, expected = CASES[case]
    assert read(data) == expected


def test_a_file_in_an_object_store_is_read_like_any_other() -> None:
    store = MemoryStore()
    data, expected = CASES["comfyui png"]
    store.put("picture", data)
    file = cast("BinaryIO", obstore.open_reader(store, "picture"))
    assert read_metadata(file) == expected
    assert bytes(file.read()) == data, "left at its beginning"


def test_invokeai_before_version_3_is_read_too() -> None:
    older = read(png({"sd-metadata": json.dumps(INVOKE_2)}))
    assert (older["prompt"], older["sampler"], older["size"]) == (
        "a red fox [blurry]",
        "k_lms",
        "512x512",
    )
    assert older["model"] == "stable-diffusion-1.5"


def test_forge_tells_the_distilled_guidance_where_cfg_is_off() -> None:
    assert read(png(parameters=FORGE_INFOTEXT))["cfg"] == 3.5
    steered = FORGE_INFOTEXT.replace("CFG scale: 1,", "CFG scale: 2,")
    assert read(png(parameters=steered))["cfg"] == 2


def test_an_infotext_wins_over_the_graph_beside_it() -> None:
    both = png(parameters=INFOTEXT, prompt=json.dumps(classic_graph()))
    assert read(both)["tool"] == "A1111"


@pytest.mark.parametrize("code", ["unicode-be", "unicode-le", "ascii", "bare"])
@pytest.mark.parametrize("prompt", ["a red fox", "ein roter Fuchs, schön", "赤い狐、雪"])
def test_a_user_comment_is_read_in_every_code(code: UserCommentCode, prompt: str) -> None:
    comment = user_comment(f"{prompt}\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5", code)
    assert read(jpeg(exif=comment))["prompt"] == prompt
    assert read(webp(exif=comment))["prompt"] == prompt


@pytest.mark.parametrize("prompt", ["a red fox", "schön", "赤い狐"])
@pytest.mark.parametrize("way", ["add_text", "add_itxt"])
@pytest.mark.parametrize("is_packed", [False, True])
def test_png_text_is_read_packed_and_plain(prompt: str, way: str, is_packed: bool) -> None:
    info = PngInfo()
    getattr(info, way)("parameters", f"{prompt}\nSteps: 20, Seed: 5", zip=is_packed)
    assert read(picture("PNG", pnginfo=info))["prompt"] == prompt


@pytest.mark.parametrize("property_", ["exif:UserComment", "dc:description"])
def test_xmp_is_read_where_a_tool_left_the_infotext_there(property_: str) -> None:
    packet = xmp(property_, "a fox &amp; an owl\nSteps: 20, Seed: 5")
    for data in (jpeg(xmp=packet), webp(xmp=packet), png({"XML:com.adobe.xmp": packet.decode()})):
        assert read(data)["prompt"] == "a fox & an owl"


@pytest.mark.parametrize(
    "data",
    [
        png(),
        jpeg(),
        webp(),
        png(parameters="a note of a photographer", Description="a fox", Comment="Steps: many"),
        jpeg(exif=exif({0x010F: "Nikon", 0x0110: "D850", 0x010E: "holiday"})),
        png(parameters="{}", prompt="[]", Comment="null"),
        b"",
        b"GIF89a" + bytes(100),
    ],
)
def test_pictures_that_no_tool_made_have_no_parameters(data: bytes) -> None:
    assert read(data) == {}


SD_PARSERS_READS = (
    "a1111 png",
    "a1111 jpeg",
    "a1111 webp",
    "fooocus png",
    "fooocus as a1111",
    "novelai png",
    "comfyui png",
)
"""The library knows no SwarmUI, no Flux and no EXIF of Fooocus and ComfyUI."""


@pytest.mark.parametrize("case", SD_PARSERS_READS)
def test_sd_parsers_finds_the_same(case: str) -> None:
    data, expected = CASES[case]
    info = ParserManager().parse(io.BytesIO(data))
    assert info is not None
    assert info.full_prompt == expected["prompt"]
    assert info.full_negative_prompt == expected["negative_prompt"]
    samplers = {str(sampler.parameters["seed"]): sampler for sampler in info.samplers}
    sampler = samplers[str(expected["seed"])]
    assert sampler.name == expected["sampler"]
    assert float(sampler.parameters["cfg_scale"]) == expected["cfg"]
    if case != "comfyui png":  # behind a LoRA's node it takes the link for the model's name
        assert sampler.model is not None
        assert values.model_name(sampler.model.name) == expected["model"]
