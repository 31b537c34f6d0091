"""What this machine brings: packages, models, GPU, fonts, disk."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator

from gridscribe.diagnosis.finding import Finding, note, ok, problem
from shared.settings import Settings

_SCRIPTS = {
    "Chinese": "漢",
    "Japanese": "あ",
    "Korean": "한",
    "Arabic": "ع",
    "Hebrew": "א",
    "Hindi": "अ",
    "Thai": "ก",
}
_FULL_DISK = 256 * 1024**2
_LITTLE_DISK = 4 * 1024**3


def check_python(own_version: str) -> Finding:
    return ok("program", f"gridscribe {own_version}, Python {platform.python_version()}")


def check_models(settings: Settings) -> Iterator[Finding]:
    """Loads each model from this machine's disk; nothing is downloaded."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # read when its packages are imported
    try:
        from worker.caption_process import captioning_config
        from worker.captioning.captioner import ModelUnavailable
        from worker.captioning.model_registry import create_captioner
    except ImportError:
        yield note(
            "models",
            "none can run here: the packages for captioning are not installed",
            "where captioning workers run: pip install 'gridscribe[caption]'",
        )
        return
    config = captioning_config(settings)
    device = "cpu"
    for name in settings.clip_models:
        try:
            captioner = create_captioner(name, config.threads, config.engine)
        except ModelUnavailable as error:
            yield problem(
                "models",
                str(error),
                "a worker with internet downloads it; else put the files there:"
                " docs/captioning.md; or choose another in GRIDSCRIBE_CLIP_MODELS",
            )
        else:
            device = captioner.device
            yield ok("models", f"{name} loads from disk, on {device}")
    yield _check_gpu(device)


def _check_gpu(device: str) -> Finding:
    gpus = _gpus()
    if not gpus:
        return ok("GPU", "no NVIDIA GPU: captions are made on the CPU")
    if device.startswith("cuda"):
        return ok("GPU", f"{', '.join(gpus)}, in use")
    return note(
        "GPU",
        f"{', '.join(gpus)}, but the models do not use it",
        "`starter` is for CPUs: choose another model; else install a torch made for CUDA",
    )


def _gpus() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        told = subprocess.run(  # noqa: S603  # the driver's own program, without anybody's input
            [program, "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return told.stdout.split("\n")[:-1] if told.returncode == 0 else []


def check_fonts(settings: Settings) -> Iterator[Finding]:
    """Which scripts labels can have here."""
    for folder in settings.font_dirs:
        if not folder.is_dir():
            yield problem("fonts", f"there is no folder {folder}", "mend GRIDSCRIBE_FONT_DIRS")
    try:
        from worker.pipeline.font_files import emoji_font, fallback_fonts, has_glyph
    except ImportError:
        yield note(
            "fonts",
            "no sheets can be made here: the packages for it are not installed",
            "where compose workers run, and for export: pip install 'gridscribe[compose]'",
        )
        return
    fonts = fallback_fonts()
    lacking = [
        script
        for script, letter in _SCRIPTS.items()
        if not any(has_glyph(font, letter) for font in fonts)
    ]
    if lacking:
        yield note(
            "fonts",
            f"no font for {', '.join(lacking)}: such labels show boxes",
            "apt-get install fonts-noto-core fonts-noto-cjk, or GRIDSCRIBE_FONT_DIRS",
        )
    else:
        yield ok("fonts", f"there are some for {', '.join(_SCRIPTS)}")
    if emoji_font() is None:
        yield note(
            "fonts",
            "no colour emoji",
            "apt-get install fonts-noto-color-emoji, or GRIDSCRIBE_FONT_DIRS",
        )
    else:
        yield ok("fonts", "colour emoji")


def check_disk(settings: Settings) -> Iterator[Finding]:
    """Room where files are kept; folders that are not there yet are made in their parents."""
    for name, folder in (("data", settings.data_dir), ("cache", settings.cache_dir)):
        there = folder.resolve()
        while not there.exists():
            there = there.parent
        usage = shutil.disk_usage(there)
        detail = f"{name} in {folder}: {usage.free / 1024**3:,.1f} GiB free"
        if not os.access(there, os.W_OK):
            variable = f"GRIDSCRIBE_{name.upper()}_DIR"
            yield problem("disk", f"{folder} cannot be written", f"mend its rights, or {variable}")
        elif usage.free < _FULL_DISK:
            yield problem("disk", detail, "make room: jobs are refused when the disk is full")
        elif usage.free < _LITTLE_DISK:
            yield note("disk", detail, "make room")
        else:
            yield ok("disk", detail)
