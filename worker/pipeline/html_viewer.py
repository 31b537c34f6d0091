"""Sheets as one HTML file that shows itself with no network: search, sort, zoom, dark and light.

Every word of a caller's is escaped, and a content security policy lets nothing run but the one
script and the one style sheet that belong to it, by their digests.
"""

import base64
import hashlib
import html
import io
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import TextIO

from PIL import Image

from shared.job_spec import JobSpec
from shared.layout import caption_lines
from shared.schemas import Manifest, ManifestImage
from worker.pipeline.manifest_text import KEYWORD, MAX_DOCUMENT_BYTES, manifest_text
from worker.pipeline.sheet_writer import RenderedPage, SheetWriter, reading_order
from worker.pipeline.typography import ELLIPSIS, clean_text

ASSETS = resources.files("worker.pipeline") / "viewer"
THREADS = 2


class HtmlWriter(SheetWriter):
    """Writes each page's pictures as they come and the manifest behind them."""

    draws_labels = False

    def __init__(self, spec: JobSpec, folder: Path) -> None:
        super().__init__(spec, folder)
        self._file: TextIO = self.opened.enter_context(
            self.path_of(1).open("w", encoding="utf-8", newline="\n")
        )
        self._script = (ASSETS / "viewer.js").read_text(encoding="utf-8")
        self._write_head()

    def add_page(self, page: Image.Image, manifest: Manifest) -> None:
        def data_uri(image: ManifestImage) -> str:
            box = image.picture or image.cell
            cut = page.crop((box.x, box.y, box.x + box.width, box.y + box.height))
            return _data_uri(cut, self.spec.quality)

        shown = reading_order(manifest)
        with ThreadPoolExecutor(THREADS, thread_name_prefix="encode") as pool:
            for image, uri in zip(shown, pool.map(data_uri, shown), strict=True):
                self._file.write(_figure(image, uri, caption_lines(self.spec)))

    def finish(self, manifest: Manifest) -> tuple[RenderedPage, ...]:
        text, is_trimmed = manifest_text(manifest, MAX_DOCUMENT_BYTES)
        if is_trimmed:
            self.warn_of_trimming("the HTML file")
        self._file.write(
            f'</main>\n<script type="application/json" id="{KEYWORD}">{in_script(text)}</script>\n'
            f"<script>{self._script}</script>\n</body>\n</html>\n"
        )
        self._file.close()
        return (RenderedPage.of(self.path_of(1), manifest.pages[0]),)

    def _write_head(self) -> None:
        style = (ASSETS / "viewer.css").read_text(encoding="utf-8")
        policy = (
            f"default-src 'none'; img-src data:; style-src '{digest(style)}'; "
            f"script-src '{digest(self._script)}'; base-uri 'none'; form-action 'none'"
        )
        title = html.escape(clean_text(self.spec.title or "") or "Contact sheet")
        body = (ASSETS / "body.html").read_text(encoding="utf-8")
        self._file.write(
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            f"<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n"
            f"<h1>{title}</h1>\n{body}"
            f'<main id="cells" data-cell="{self.spec.cell_size[0]}">\n'
        )


def digest(content: str) -> str:
    """As a policy names an inline script or style (CSP level 3, section 2.3.1)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def in_script(json_text: str) -> str:
    """JSON that cannot end the script element it stands in, and is the same JSON."""
    return json_text.replace("<", "\\u003c")


def _figure(image: ManifestImage, uri: str, most_lines: int) -> str:
    """With its label's lines one by one, so that each is cut on its own where it is too long."""
    name, label = html.escape(clean_text(image.name)), html.escape(clean_text(image.label))
    lines = label.split("\n") if label else []
    if len(lines) > most_lines:
        lines = [*lines[: most_lines - 1], lines[most_lines - 1] + ELLIPSIS]
    caption = "".join(f"<span>{line}</span>" for line in lines)
    box = image.picture or image.cell
    return (
        f'<figure data-index="{image.index}"><button type="button" title="{name}">'
        f'<img src="{uri}" width="{box.width}" height="{box.height}" alt="{label}" loading="lazy">'
        f"</button><figcaption>{caption}</figcaption></figure>\n"
    )


def _data_uri(picture: Image.Image, quality: int) -> str:
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=quality, method=2)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
