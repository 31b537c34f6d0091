"""How fast a sheet is made, against ImageMagick, the way it was once done, and the floor.

Run it with `make bench`; benchmarks/README.md says how to read the table.
"""

import argparse
import io
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import PIL
from PIL import Image, ImageChops, ImageDraw, ImageFont
from rich.console import Console
from rich.table import Table

from shared.job_spec import JobSpec, SheetFormat
from worker.pipeline.font_files import SHIPPED_FOLDER
from worker.pipeline.pictures import MOST_LOCKING_THREADS, open_picture, resized
from worker.pipeline.preprocessing import decode_target
from worker.pipeline.render import SheetEntry, render_sheet
from worker.pipeline.typeface import Weight

CELL = 256
MARGIN = 10
DISTINCT_PICTURES = 10
FONT = SHIPPED_FOLDER / Weight.REGULAR
CORES = os.cpu_count() or 1
KINDS = {"png": (1024, 1024), "jpg": (4000, 3000)}
"""Kind of input to width and height of its pictures."""

Contender = Callable[[Sequence[Path], Path], Path | None]
"""Makes a sheet of the inputs in the folder, and returns its file if there is one."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--data", type=Path, default=Path("build/benchmarks"))
    parser.add_argument("--json", type=Path, default=Path("build/benchmarks/sheets.json"))
    arguments = parser.parse_args()
    console = Console(width=110)
    report: dict[str, object] = {"machine": machine(), "images": arguments.images}
    for kind in KINDS:
        inputs = pictures(arguments.data, kind, arguments.images)
        results = compared(inputs, kind, arguments.runs, console)
        report[kind] = {name: asdict(result) for name, result in results.items()}
        console.print(table(kind, results))
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(report, indent=1))
    console.print(f"wrote {arguments.json}")


@dataclass(slots=True)
class Result:
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    bytes: int | None = None
    """Of the sheet, where one is made."""


def compared(inputs: Sequence[Path], kind: str, runs: int, console: Console) -> dict[str, Result]:
    """By contender; they take turns, so that a busy moment of the machine hits them all."""
    contenders: dict[str, Contender] = {
        "gridscribe, png": partial(gridscribe, format_=SheetFormat.PNG),
        "gridscribe, jpg": partial(gridscribe, format_=SheetFormat.JPG),
        "floor: decode and resize": floor,
        "the old way, png": old_way,
    }
    if shutil.which("montage"):
        contenders["ImageMagick montage, png"] = partial(montage, kind=kind)
    else:
        console.print("no montage on PATH: ImageMagick is left out (apt-get install imagemagick)")
    results = {name: Result() for name in contenders}
    for path in inputs:
        path.read_bytes()  # into the page cache
    for _ in range(runs):
        for name, contender in contenders.items():
            with tempfile.TemporaryDirectory() as folder:
                start, cpu_start = time.perf_counter(), cpu_seconds()
                sheet = contender(inputs, Path(folder))
                results[name].seconds.append(time.perf_counter() - start)
                results[name].cpu_seconds.append(cpu_seconds() - cpu_start)
                results[name].bytes = sheet.stat().st_size if sheet else None
    return results


def cpu_seconds() -> float:
    """Of this process and of those that it has started and waited for."""
    return sum(os.times()[:4])


def table(kind: str, results: dict[str, Result]) -> Table:
    medians = {name: statistics.median(result.seconds) for name, result in results.items()}
    own = medians["gridscribe, png"]
    width, height = KINDS[kind]
    shown = Table(
        *("", "median s", "min to max", "of gridscribe, png", "CPU s", "sheet MB"),
        title=f"{kind.upper()} {width} x {height}",
    )
    for name, result in results.items():
        shown.add_row(
            name,
            f"{medians[name]:.2f}",
            f"{min(result.seconds):.2f} to {max(result.seconds):.2f}",
            f"{medians[name] / own:.2f}",
            f"{statistics.median(result.cpu_seconds):.2f}",
            f"{result.bytes / 1e6:.1f}" if result.bytes else "",
        )
    return shown


def gridscribe(inputs: Sequence[Path], folder: Path, format_: SheetFormat) -> Path:
    entries = [
        SheetEntry(name=path.name, label=path.stem, open=partial(io.FileIO, path))
        for path in inputs
    ]
    sheet = render_sheet(spec(format_), entries, folder, max_pixels=10**9, threads=CORES)
    return sheet.pages[0].path


def floor(inputs: Sequence[Path], folder: Path) -> None:
    """The pictures' own part of the work alone, on all cores."""
    del folder
    asked = spec(SheetFormat.PNG)
    hold_lock = CORES <= MOST_LOCKING_THREADS

    def prepared(path: Path) -> Image.Image:
        with path.open("rb") as file:
            target = decode_target(asked)
            picture = open_picture(file, target, asked.resize_mode, hold_lock=hold_lock)
        return resized(picture, asked.cell_size, asked.resize_mode)

    with ThreadPoolExecutor(CORES) as pool:
        for _ in pool.map(prepared, inputs):
            pass


def old_way(inputs: Sequence[Path], folder: Path) -> Path:
    """Every picture at full size, then Lanczos, outlines of 25 texts, and an optimized PNG."""
    opened = [Image.open(path).convert("RGB") for path in inputs]
    columns = spec(SheetFormat.PNG).cols or 1
    rows = -(-len(opened) // columns)
    step = CELL + MARGIN
    sheet = Image.new("RGB", (MARGIN + columns * step, MARGIN + rows * step), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.truetype(str(FONT), 16)
    for index, picture in enumerate(opened):
        x, y = MARGIN + index % columns * step, MARGIN + index // columns * step
        picture.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
        sheet.paste(picture, (x, y))
        for dx in range(-2, 3):
            for dy in range(-2, 3):
                draw.text((x + 8 + dx, y + 8 + dy), inputs[index].stem, "black", font)
        draw.text((x + 8, y + 8), inputs[index].stem, "white", font)
    path = folder / "sheet.png"
    sheet.save(path, "PNG", optimize=True)
    return path


def montage(inputs: Sequence[Path], folder: Path, kind: str) -> Path:
    """At its best: sizes given for reading, the fastest compression, all cores."""
    path = folder / "sheet.png"
    reading = ["-define", f"jpeg:size={2 * CELL}x{2 * CELL}"] if kind == "jpg" else []
    subprocess.run(
        ["montage", "-font", str(FONT), "-pointsize", "16", "-label", "%t", *reading]
        + [f"{path}[{CELL}x{CELL}]" for path in inputs]
        + ["-tile", f"{spec(SheetFormat.PNG).cols}x", "-geometry", f"{CELL}x{CELL}+5+5"]
        + ["-depth", "8", "-define", "png:compression-level=1", str(path)],
        check=True,
    )
    return path


def spec(format_: SheetFormat) -> JobSpec:
    return JobSpec(cols=10, cell_size=(CELL, CELL), margin=MARGIN, format=format_)


def pictures(folder: Path, kind: str, count: int) -> list[Path]:
    """`count` files of the kind; there are ten pictures, each under several names."""
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for number in range(count):
        path = folder / f"picture {number:04}.{kind}"
        if not path.exists():
            if number < DISTINCT_PICTURES:
                photo_like(KINDS[kind]).save(path, quality=90)  # which PNG passes over
            else:
                os.link(paths[number % DISTINCT_PICTURES], path)
        paths.append(path)
    return paths


def photo_like(size: tuple[int, int]) -> Image.Image:
    """Noise with less of it the finer it is, and some grain, as in photographs."""
    channels = []
    for _ in range(3):
        channel = Image.new("L", size, 128)
        for side, contrast in ((4, 60), (16, 30), (64, 16), (256, 8)):
            octave = Image.effect_noise((side, side), contrast)
            octave = octave.resize(size, Image.Resampling.BICUBIC)
            channel = ImageChops.add(channel, octave, offset=-128)
        channels.append(ImageChops.add(channel, Image.effect_noise(size, 2), offset=-128))
    return Image.merge("RGB", channels)


def machine() -> dict[str, object]:
    return {
        "cores": CORES,
        "processor": platform.machine(),
        "python": sys.version.split()[0],
        "pillow": PIL.__version__,
        "load_average": os.getloadavg(),
    }


if __name__ == "__main__":
    main()
