"""Sheets as one PDF: a JPEG a page, under it the labels as text that can be searched and copied,
and the manifest as an attached file.
"""

import contextlib
import io
import textwrap
import zlib
from collections.abc import Mapping
from pathlib import Path

import pikepdf
from pikepdf import Array, Dictionary, Name
from PIL import Image

from shared.job_spec import JobSpec
from shared.schemas import Box, Manifest
from worker.pipeline.manifest_text import MAX_DOCUMENT_BYTES, SheetReadError, manifest_text
from worker.pipeline.sheet_writer import RenderedPage, SheetWriter, reading_order
from worker.pipeline.typography import clean_text

POINTS_A_PIXEL = 72 / 150
"""At 150 pixels an inch a sheet of ten 256-pixel columns is 45 cm wide."""
MAX_SIDE = 14_400
"""Points a reader must be able to show (ISO 32000-1, annex C); larger pages come out finer."""
ATTACHMENT = "gridscribe-manifest.json"
PART_BYTES = 64 * 1024 * 1024
"""Pages that are in memory at a time, as JPEG."""

GLYPH_WIDTH = 0.5
"""Of every character of the invisible font, over its size."""
LINE_CHARACTERS = 40
"""Of a line of invisible text; readers want glyphs that do not lie on one another."""
TO_UNICODE = """/CIDInit /ProcSet findresource begin 12 dict begin begincmap
/CMapName /Text def /CMapType 2 def
1 begincodespacerange <0000> <FFFF> endcodespacerange
{}
endcmap CMapName currentdict /CMap defineresource pop end end"""
CMAP_BLOCK = 100
"""Most entries of one block (Adobe technical note 5014)."""


class PdfWriter(SheetWriter):
    """Pages go to disk in parts, which are joined at the end without being read into memory."""

    def __init__(self, spec: JobSpec, folder: Path) -> None:
        super().__init__(spec, folder)
        self._part = self.opened.enter_context(pikepdf.new())
        self._part_bytes = 0
        self._parts: list[Path] = []

    def add_page(self, page: Image.Image, manifest: Manifest) -> None:
        file = io.BytesIO()
        page.save(file, "JPEG", quality=self.spec.quality, subsampling="4:4:4")
        _add_page(self._part, file.getvalue(), page.size, _label_lines(manifest))
        self._part_bytes += file.tell()
        if self._part_bytes >= PART_BYTES:
            self._end_part()

    def finish(self, manifest: Manifest) -> tuple[RenderedPage, ...]:
        path = self.path_of(1)
        with contextlib.ExitStack() as stack:
            sources = [stack.enter_context(pikepdf.open(part)) for part in self._parts]
            document = stack.enter_context(pikepdf.new())
            for source in (*sources, self._part):
                document.pages.extend(source.pages)
            self._describe(document, manifest)
            document.save(path, deterministic_id=True, min_version="1.7")
        for part in self._parts:
            part.unlink()
        return (RenderedPage.of(path, manifest.pages[0]),)

    def _end_part(self) -> None:
        path = self.folder / f"part-{len(self._parts) + 1}.pdf"
        self._part.save(path)
        self._part.close()
        self._parts.append(path)
        self._part = self.opened.enter_context(pikepdf.new())
        self._part_bytes = 0

    def _describe(self, document: pikepdf.Pdf, manifest: Manifest) -> None:
        text, is_trimmed = manifest_text(manifest, MAX_DOCUMENT_BYTES)
        if is_trimmed:
            self.warn_of_trimming("the PDF")
        document.attachments[ATTACHMENT] = pikepdf.AttachedFileSpec(
            document, text.encode(), filename=ATTACHMENT, mime_type="application/json"
        )
        if self.spec.title:
            document.docinfo["/Title"] = clean_text(self.spec.title)


def read_manifest_text(document: pikepdf.Pdf) -> bytes | None:
    """The attached manifest; raises `SheetReadError` where it is too long or oddly packed."""
    if ATTACHMENT not in document.attachments:
        return None
    stream = document.attachments[ATTACHMENT].get_file().obj
    data = stream.read_raw_bytes()
    match stream.get("/Filter"):
        case None:
            return data
        case Name.FlateDecode:
            inflate = zlib.decompressobj()
            text = inflate.decompress(data, MAX_DOCUMENT_BYTES)
            if inflate.unconsumed_tail:
                raise SheetReadError(f"its manifest has more than {MAX_DOCUMENT_BYTES:,} bytes")
            return text
        case other:
            raise SheetReadError(f"its manifest is packed as {other}, which is not read")


def page_jpeg(document: pikepdf.Pdf, number: int) -> bytes:
    """The picture of a page, from 1; raises `SheetReadError` where there is none as we write it."""
    if number <= len(document.pages):
        resources = document.pages[number - 1].obj.get("/Resources", Dictionary())
        picture = resources.get("/XObject", Dictionary()).get("/Sheet")
        if isinstance(picture, pikepdf.Stream) and picture.get("/Filter") == Name.DCTDecode:
            return picture.read_raw_bytes()
    raise SheetReadError(f"page {number} has no picture of a sheet; another program changed it")


def _add_page(
    document: pikepdf.Pdf, jpeg: bytes, size: tuple[int, int], lines: list[tuple[str, Box]]
) -> None:
    width, height = size
    scale = min(POINTS_A_PIXEL, MAX_SIDE / max(size))
    # Rounding may exceed the limit by a hair.
    page = document.add_blank_page(
        page_size=(min(width * scale, MAX_SIDE), min(height * scale, MAX_SIDE))
    )
    picture = document.make_stream(
        jpeg,
        Type=Name.XObject,
        Subtype=Name.Image,
        Width=width,
        Height=height,
        ColorSpace=Name.DeviceRGB,
        BitsPerComponent=8,
        Filter=Name.DCTDecode,
    )
    # Every character that occurs gets a code of two bytes.
    codes = {c: n for n, c in enumerate(sorted(set("".join(text for text, _ in lines))))}
    page.obj.Resources = Dictionary(
        XObject=Dictionary(Sheet=picture), Font=Dictionary(Text=_invisible_font(document, codes))
    )
    # In pixels from here on, y upwards; text rendering mode 3 draws nothing.
    content = [f"{scale:.6f} 0 0 {scale:.6f} 0 0 cm", f"q {width} 0 0 {height} 0 0 cm /Sheet Do Q"]
    content += ["BT 3 Tr", *(_shown(text, codes, box, height) for text, box in lines), "ET"]
    page.obj.Contents = document.make_stream("\n".join(content).encode())


def _invisible_font(document: pikepdf.Pdf, codes: Mapping[str, int]) -> pikepdf.Object:
    """A font that is never drawn, so that no font file is needed: it only tells characters."""
    pairs = [f"<{code:04x}> <{c.encode('utf-16-be').hex()}>" for c, code in codes.items()]
    blocks = [pairs[start : start + CMAP_BLOCK] for start in range(0, len(pairs), CMAP_BLOCK)]
    mapping = "\n".join(
        "\n".join([f"{len(block)} beginbfchar", *block, "endbfchar"]) for block in blocks
    )
    descriptor = Dictionary(
        Type=Name.FontDescriptor,
        FontName=Name.Invisible,
        Flags=4,
        FontBBox=Array([0, 0, 500, 1000]),
        ItalicAngle=0,
        Ascent=1000,
        Descent=0,
        CapHeight=1000,
        StemV=80,
    )
    glyphs = Dictionary(
        Type=Name.Font,
        Subtype=Name.CIDFontType2,
        BaseFont=Name.Invisible,
        CIDToGIDMap=Name.Identity,
        CIDSystemInfo=Dictionary(Registry="Adobe", Ordering="Identity", Supplement=0),
        FontDescriptor=descriptor,
        DW=int(GLYPH_WIDTH * 1000),
    )
    return document.make_indirect(
        Dictionary(
            Type=Name.Font,
            Subtype=Name.Type0,
            BaseFont=Name.Invisible,
            Encoding=Name("/Identity-H"),
            DescendantFonts=Array([document.make_indirect(glyphs)]),
            ToUnicode=document.make_stream(TO_UNICODE.format(mapping).encode()),
        )
    )


def _label_lines(manifest: Manifest) -> list[tuple[str, Box]]:
    """Each label's lines with a box for each, from the picture's lower edge to the cell's.

    Where the drawn label is wrapped is not known here; search finds the same words either way.
    """
    lines: list[tuple[str, Box]] = []
    for image in reading_order(manifest):
        texts = [
            line
            for paragraph in clean_text(image.label).split("\n")
            for line in textwrap.wrap(paragraph, LINE_CHARACTERS)
        ]
        cell, picture = image.cell, image.picture or image.cell
        bottom = cell.y + cell.height
        below = bottom - picture.y - picture.height
        room = below if below > 0 else cell.height // 4  # a label over the picture
        height = max(1, room // max(1, len(texts)))
        for number, text in enumerate(texts):
            y = bottom - room + number * height
            lines.append((text, Box(x=cell.x, y=y, width=cell.width, height=height)))
    return lines


def _shown(text: str, codes: Mapping[str, int], box: Box, page_height: int) -> str:
    """Operators that place `text`, not empty, in the middle of its box."""
    size = min(box.height, box.width / (len(text) * GLYPH_WIDTH))
    x = box.x + (box.width - len(text) * GLYPH_WIDTH * size) / 2
    y = page_height - box.y - box.height
    glyphs = "".join(f"{codes[character]:04x}" for character in text)
    return f"/Text {size:.2f} Tf 1 0 0 1 {x:.2f} {y} Tm <{glyphs}> Tj"
