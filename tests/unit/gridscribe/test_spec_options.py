"""Every option that says how a sheet looks, from the command line to the spec that is sent."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gridscribe.commands.spec_options import spec_options
from shared.job_spec import JobSpec
from tests.fixtures.command_line import Run
from tests.unit.gridscribe.scripted_server import ScriptedServer, job_answer

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "rows": ("--rows 2", {"rows": 2}),
    "cols": ("--cols 3", {"cols": 3}),
    "cell_size": ("--cell-size 64 48", {"cell_size": (64, 48)}),
    "margin": ("--margin 3", {"margin": 3}),
    "font_size": ("--font-size 20", {"font_size": 20}),
    "background": ("--background 255 0 10", {"background": "#ff000a"}),
    "title": ("--title Foxes", {"title": "Foxes"}),
    "overflow": ("--overflow grow", {"overflow": "grow"}),
    "sort": ("--sort column:seed", {"sort": "column:seed"}),
    "stack_duplicates": ("--stack-duplicates", {"stack_duplicates": True}),
    "rows_by": ("--rows-by sampler", {"axes": {"rows_by": "sampler"}}),
    "cols_by": ("--cols-by cfg", {"axes": {"cols_by": "cfg"}}),
    "auto_axes": ("--auto-axes", {"axes": "auto"}),
    "template": ("--template compact", {"template": "compact"}),
    "save_as": ("--save-template mine --rows 2", {"rows": 2}),
    "output_format": ("--format jpeg", {"format": "jpg"}),
    "quality": ("--quality 50", {"quality": 50}),
    "labels": ("--labels seed,cfg", {"labels": ("seed", "cfg")}),
    "csv_encoding": ("--csv-encoding latin-1", {"csv_encoding": "latin-1"}),
    "label_position": ("--label-position overlay", {"label_position": "overlay"}),
    "use_clip": ("--use-clip", {"use_clip": True}),
    "clip_model": ("--clip-model starter", {"clip_model": "starter"}),
    "min_confidence": ("--min-confidence 0.4", {"min_confidence": 0.4}),
    "candidates": ("--candidates fox,owl", {"candidates": ("fox", "owl")}),
    "candidates_file": ("--candidates-file terms.txt", {"candidates": ("a fox, red", "owl")}),
    "vocabulary": ("--vocabulary animals", {"vocabulary": "animals"}),
    "prompt_templates": ("--prompt-template {}", {"prompt_templates": ("{}",)}),
    "resize_mode": ("--resize-mode fill", {"resize_mode": "fill"}),
    "resize": ("--resize 30 20", {"preprocessing": {"resize": (30, 20)}}),
    "crop": ("--crop 1 2 30 40", {"preprocessing": {"crop": (1, 2, 30, 40)}}),
    "blur": ("--blur 1.5", {"preprocessing": {"blur": 1.5}}),
    "sharpen": ("--sharpen 1", {"preprocessing": {"sharpen": 1}}),
    "emboss": ("--emboss 0.5", {"preprocessing": {"emboss": 0.5}}),
    "edge_enhance": ("--edge-enhance 2", {"preprocessing": {"edge_enhance": 2}}),
    "brightness": ("--brightness 1.2", {"preprocessing": {"brightness": 1.2}}),
    "contrast": ("--contrast 0.9", {"preprocessing": {"contrast": 0.9}}),
    "saturation": ("--saturation 0", {"preprocessing": {"saturation": 0}}),
}
"""By the parameter of `spec_options`: what is typed, and what the spec says then."""


def test_every_option_is_tried_here() -> None:
    assert OPTIONS.keys() == inspect.signature(spec_options).parameters.keys()


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_says_what_the_spec_says_and_nothing_else(
    run: Run, server: ScriptedServer, option: str
) -> None:
    Image.new("RGB", (8, 8)).save("fox.png")
    Path("terms.txt").write_text("a fox, red\nowl\n")
    typed, expected = OPTIONS[option]
    server.answers = [job_answer("queued")]
    submit = ("submit", "fox.png", "--server", server.url, "--no-wait")
    assert run(*submit, *typed.split()) == 0
    (request,) = server.requests
    part = request.body.split(b'name="spec"', 1)[1].split(b"\r\n\r\n", 1)[1]
    sent = JobSpec.model_validate_json(part.split(b"\r\n--", 1)[0])
    assert sent == JobSpec.model_validate(expected)
