"""Draw the gallery (`make gallery`): sheets of the sample photos and of pictures made here."""

import io
import math
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, ImageColor, ImageDraw

from shared.job_spec import JobSpec
from shared.templates import BUILT_IN_TEMPLATES, apply_template
from worker.pipeline.font_files import emoji_font, fallback_fonts, has_glyph
from worker.pipeline.image_features import pack
from worker.pipeline.render import SheetEntry, render_sheet

FOLDER = Path(__file__).parent
PHOTOS = sorted((FOLDER.parents[1] / "gridscribe" / "samples").glob("*.jpg"))
PROMPT = (
    "a wide shot of an astronaut in an orange suit before the flag, soft studio light, 85 mm, "
    "highly detailed portrait photography, muted colours, film grain"
)
LONG_PROMPTS = (
    f"{PROMPT}, natural skin, catch lights in the eyes, a helmet on the table in front of her",
    "an old brick wall, monochrome",
    "a man behind a camera on a tripod, black and white, high contrast, winter morning",
    "a tabby cat on a wooden table, soft window light",
    "an old clock in motion blur",
    "a cup of espresso beside a spoon on a dark table, seen from above, steam, cinnamon, warm "
    "light from the left, shallow depth of field, editorial food photography for a magazine about "
    "the coffee houses of old towns",
)
LABELS_BY_SCRIPT = (
    "宇航员站在旗帜前，柔和的摄影棚灯光",  # noqa: RUF001 # a Chinese comma
    "石畳の道、モノクロ写真",
    "카메라를 든 사람",
    "قطة على طاولة، عدسة 85mm",
    "שעון במטושטש (2024)",
    "☕ espresso, 4 stars ⭐⭐⭐⭐",
    "Глубокое поле Хаббла",
    "Αμφιβληστροειδής",
    "🚀 décollage à l'aube 👩‍🚀 🇫🇷",
)


@dataclass(frozen=True)
class Exhibit:
    """One sheet of the gallery, with a sentence on what to look at."""

    name: str
    caption: str
    entries: list[SheetEntry]
    spec: dict[str, Any] = field(default_factory=dict)


def photo(path: Path, label: str | None = None) -> SheetEntry:
    text = path.stem.replace("_", " ") if label is None else label
    return SheetEntry(name=path.name, label=text, open=partial(io.FileIO, path))


def drawn(name: str, label: str, image: Image.Image, **metadata: object) -> SheetEntry:
    file = io.BytesIO()
    image.save(file, "PNG")
    opened: Callable[[], BinaryIO] = partial(io.BytesIO, file.getvalue())
    return SheetEntry(name=name, label=label, metadata=metadata, open=opened)


def compared(path: Path, *, mirrored: bool) -> SheetEntry:
    """A photo, or the middle of its mirror image, with what the model `starter` sees in it."""
    from worker.captioning.starter import StarterCaptioner

    with Image.open(path) as opened:
        image = opened.convert("RGB")
    name = path.stem
    if mirrored:
        width, height = image.size
        middle = image.crop((width // 8, height // 8, width * 7 // 8, height * 7 // 8))
        image, name = middle.transpose(Image.Transpose.FLIP_LEFT_RIGHT), f"{name}, mirrored"
    model = StarterCaptioner(threads=1)
    features = pack(model.encode_images(model.preprocess(image)[None])[0])
    entry = drawn(f"{name}.png", name, image)
    return replace(entry, features=features, model="starter")


def rose(petals: int, hue: int, side: int = 400) -> Image.Image:
    """A rose curve, r = cos(k t), the stand-in for a generated picture."""
    side *= 2  # drawn twice as large, for smooth edges
    image = Image.new("RGB", (side, side), ImageColor.getrgb(f"hsl({hue}, 35%, 14%)"))
    draw = ImageDraw.Draw(image)
    for ring in range(12, 0, -1):
        radius = side * 0.46 * ring / 12
        points = [
            (
                side / 2 + radius * (0.55 + 0.45 * math.cos(petals * t)) * math.cos(t),
                side / 2 + radius * (0.55 + 0.45 * math.cos(petals * t)) * math.sin(t),
            )
            for t in (2 * math.pi * step / 720 for step in range(720))
        ]
        draw.polygon(points, ImageColor.getrgb(f"hsl({hue + ring * 6}, 70%, {78 - ring * 4}%)"))
    return image.reduce(2)


def noise(side: int) -> Image.Image:
    """The same whenever it is drawn."""
    return Image.frombytes("L", (side, side), random.Random(1).randbytes(side * side))


def plot(petals: tuple[int, ...], hues: dict[str, int]) -> list[SheetEntry]:
    return [
        drawn(f"{name}-{k}.png", "", rose(k, hue), petals=k, palette=name)
        for (name, hue), k in product(hues.items(), petals)
    ]


def exhibits() -> list[Exhibit]:
    photos = [photo(path) for path in PHOTOS]
    torn = SheetEntry(name="torn.jpg", label="torn.jpg", open=partial(io.BytesIO, b"\xff\xd8torn"))
    palettes = {"ember": 10, "moss": 110, "deep sea": 200}
    roses = plot((3, 5, 8, 12), palettes)
    frames = [drawn(f"{n}.png", f"rose of {n}", rose(n, 12 * n)) for n in range(2, 18)]
    again = [photo(PHOTOS[n]) for n in (0, 3, 3, 0, 3, 5, 8, 8, 3)]
    templates = [
        Exhibit(
            f"template-{name}",
            f"The template `{name}`.",
            (photos + frames)[: (template.rows or 1) * (template.cols or 1)],
            {"template": name},
        )
        for name, template in BUILT_IN_TEMPLATES.items()
    ]
    return [
        Exhibit("mixed", "No wish at all: labels right below, on one line a row.", photos),
        Exhibit(
            "axes",
            "`axes`: an X/Y plot out of finished images; a gap shows what was never made.",
            [entry for entry in roses if entry.name != "moss-8.png"],
            {
                "axes": {"rows_by": "palette", "cols_by": "petals"},
                "cell_size": (200, 200),
                "label_position": "none",
                "title": "Roses",
            },
        ),
        Exhibit(
            "axes-dark",
            "`axes: auto` with labels, on a dark background.",
            [
                drawn(f"{n}.png", f"seed {n}", rose(k, hue, 240), seed=n, petals=k, hue=hue)
                for n, (hue, k) in enumerate(product((0, 120, 240), (4, 7, 9)))
            ],
            {"axes": "auto", "cell_size": (160, 160), "background": "#202124"},
        ),
        Exhibit(
            "overlay",
            "`label_position: overlay` on dark, bright and noisy pictures, filled.",
            [
                *photos[:4],
                drawn("white.png", "white.png", Image.new("RGB", (300, 300), "white")),
                drawn("black.png", PROMPT, Image.new("RGB", (300, 300), "black")),
                drawn("noise.png", "noise.png", noise(300)),
                *photos[7:9],
            ],
            {"label_position": "overlay", "resize_mode": "fill"},
        ),
        Exhibit(
            "long-labels",
            "Long labels: wrapped, shrunk together, then cut, the longest lines first.",
            [
                photo(path, f"prompt: {prompt}\nseed: {n * 7919}\ncfg: 7")
                for n, (path, prompt) in enumerate(zip(PHOTOS, LONG_PROMPTS, strict=False), start=1)
            ],
            {"labels": ("prompt", "seed", "cfg"), "cols": 3},
        ),
        Exhibit(
            "scripts",
            "Chinese, Japanese, Korean, Arabic, Hebrew, emoji, Cyrillic and Greek labels.",
            [photo(path, text) for path, text in zip(PHOTOS, LABELS_BY_SCRIPT, strict=True)],
            {"title": "Labels · 标签 · ラベル · تسميات 🏷️"},
        ),
        Exhibit(
            "title-dark",
            "A title, a dark background, and a placeholder for a picture that is damaged.",
            [*photos[:5], torn, *photos[6:8]],
            {"title": "Contact sheet of the morning's render", "background": "#18181b", "cols": 4},
        ),
        Exhibit(
            "stacks",
            "`stack_duplicates`: pictures that look the same are one cell with their number.",
            again,
            {"stack_duplicates": True, "cols": 4, "cell_size": (200, 200)},
        ),
        Exhibit(
            "pages",
            "`overflow: pages`: what does not fit stands on further pages.",
            frames,
            {"rows": 2, "cols": 5, "cell_size": (140, 140), "title": "Sixteen roses"},
        ),
        Exhibit(
            "similarity",
            "`sort: similarity`: like next to like, starting with the first photo.",
            [compared(PHOTOS[n], mirrored=half) for half in (False, True) for n in (0, 3, 5)],
            {"sort": "similarity", "cols": 6, "cell_size": (160, 160)},
        ),
        *templates,
    ]


def has_fonts_for(text: str) -> bool:
    fonts = fallback_fonts()
    return emoji_font() is not None and all(
        any(has_glyph(font, letter) for font in fonts) for letter in text if letter.isalpha()
    )


def main() -> None:
    lines = ["# Gallery", "", "Drawn by `make gallery`; what each setting does is told in"]
    lines += ["[docs/layout.md](../layout.md).", ""]
    for exhibit in exhibits():
        if exhibit.name == "scripts" and not has_fonts_for("宇ラ카قש"):
            print("no fonts for all scripts here: the sheet `scripts` stays as it is")  # noqa: T201
            names = [path.name for path in sorted(FOLDER.glob("scripts*.webp"))]
        else:
            names = draw(exhibit)
        lines += [f"## {exhibit.name}", "", exhibit.caption, ""]
        lines += [f"![{exhibit.caption}]({name})" for name in names]
        lines.append("")
    lines += [
        "## pdf",
        "",
        "`format: pdf`: [roses.pdf](roses.pdf), its labels found by any reader.",
    ]
    document(roses(), "pdf", FOLDER / "roses.pdf")
    caption = "`format: html`: an X/Y plot in the viewer, here in Chromium."
    lines += ["", "## html", "", caption, "", f"![{caption}](html.webp)"]
    if chromium := shutil.which("chromium"):
        photograph_viewer(chromium, FOLDER / "html.webp")
    else:
        print("no chromium on PATH: the picture of the HTML viewer stays as it is")  # noqa: T201
    (FOLDER / "README.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def roses() -> list[SheetEntry]:
    labelled = plot((3, 5, 8), {"ember": 10, "moss": 110})
    return [replace(entry, label=entry.name.removesuffix(".png")) for entry in labelled]


def document(entries: list[SheetEntry], format_: str, path: Path) -> None:
    spec = JobSpec.model_validate(
        {
            "format": format_,
            "title": "Roses",
            "axes": {"rows_by": "palette", "cols_by": "petals"},
            "cell_size": (200, 200),
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        [page] = render_sheet(spec, entries, Path(folder), max_pixels=10**8).pages
        shutil.copyfile(page.path, path)


def photograph_viewer(chromium: str, path: Path) -> None:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        viewer = Path(folder) / "roses.html"
        document(roses(), "html", viewer)
        browser = playwright.chromium.launch(executable_path=chromium)
        page = browser.new_page(viewport={"width": 1000, "height": 720})
        page.goto(viewer.as_uri())
        with Image.open(io.BytesIO(page.screenshot())) as shot:
            shot.convert("RGB").save(path, "WEBP", quality=80, method=6)
        browser.close()


def draw(exhibit: Exhibit) -> list[str]:
    """Write the exhibit's pages as WebP; returns their names."""
    spec = apply_template(JobSpec.model_validate(exhibit.spec))
    names: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        sheet = render_sheet(spec, exhibit.entries, Path(folder), max_pixels=10**8)
        for number, page in enumerate(sheet.pages, start=1):
            names.append(f"{exhibit.name}{f'-{number}' if number > 1 else ''}.webp")
            with Image.open(page.path) as image:
                image.save(FOLDER / names[-1], "WEBP", quality=80, method=6)
    return names


if __name__ == "__main__":
    main()
