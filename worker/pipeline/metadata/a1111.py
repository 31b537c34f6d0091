"""A1111's infotext, which Forge and many others write too.

Lines of prompt, a line `Negative prompt: ...` and on, then one line of settings that begins with
`Steps: `; PNG keyword `parameters`, EXIF UserComment elsewhere.
"""

import re
from collections.abc import Iterator, Mapping

from shared.parameters import Parameters
from worker.pipeline.metadata import values

FIELDS = ("parameters", "UserComment", "ImageDescription")
NEGATIVE = "Negative prompt:"
SETTINGS = re.compile(r"(?:^|\n)(?=Steps: ?\d)")
LORA = re.compile(r"<lora:([^:<>]++)(?::([^:<>]*+))?+[^<>]*+>")
"""Possessive, for a hostile prompt with an open bracket would be tried in every way otherwise."""
MAX_SETTINGS = 65_536
TOOL_OF_VERSION = (("fooocus", "Fooocus"), ("comfyui", "ComfyUI"), ("f", "Forge"), ("neo", "Forge"))
"""How a version begins, in lower case."""


def read_a1111(fields: Mapping[str, str]) -> Parameters:
    return next((found for name in FIELDS if (found := read_infotext(fields.get(name, "")))), {})


def read_infotext(infotext: str) -> Parameters:
    """Empty for a text without a line of settings: any comment of a camera would do otherwise."""
    infotext = infotext.replace("\r\n", "\n")
    starts = [match.end() for match in SETTINGS.finditer(infotext)]
    if not starts:
        return {}
    line = infotext[starts[-1] : starts[-1] + MAX_SETTINGS].partition("\n")[0]
    settings = dict(_settings(line))
    prompt, negative = _prompts(infotext[: starts[-1]])
    return values.parameters(
        prompt=prompt,
        negative_prompt=negative,
        seed=settings.get("Seed"),
        steps=settings.get("Steps"),
        sampler=settings.get("Sampler"),
        scheduler=settings.get("Schedule type"),
        cfg=values.guidance(settings.get("CFG scale"), settings.get("Distilled CFG Scale")),
        model=values.model_name(settings.get("Model")),
        size=values.size(*settings.get("Size", "").partition("x")[::2]),
        loras=values.loras(LORA.findall(prompt)),
        tool=_tool(settings.get("Version", "")),
    )


def _prompts(text: str) -> tuple[str, str]:
    if text.startswith(NEGATIVE):
        return "", text.removeprefix(NEGATIVE)
    prompt, _, negative = text.partition("\n" + NEGATIVE)
    return prompt, negative


def _settings(line: str) -> Iterator[tuple[str, str]]:
    """`key: value` pairs between commas; a value with a comma stands in double quotes."""
    start, quoted, escaped = 0, False, False
    for at, character in enumerate(line + ","):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = quoted
        elif character == '"':
            quoted = not quoted
        elif (character == "," and not quoted) or at == len(line):
            key, _, value = line[start:at].partition(":")
            yield key.strip(), value.strip().strip('"')
            start = at + 1


def _tool(version: str) -> str:
    version = version.lower()
    return next((tool for start, tool in TOOL_OF_VERSION if version.startswith(start)), "A1111")
