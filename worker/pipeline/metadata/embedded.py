"""The generation parameters that a tool left in the picture it made."""

from collections.abc import Callable, Mapping
from typing import BinaryIO, NamedTuple

from shared.parameters import Parameters
from worker.pipeline.metadata.a1111 import read_a1111
from worker.pipeline.metadata.comfyui import read_comfyui
from worker.pipeline.metadata.fooocus import read_fooocus
from worker.pipeline.metadata.invokeai import read_invokeai
from worker.pipeline.metadata.novelai import read_novelai
from worker.pipeline.metadata.swarmui import read_swarmui
from worker.pipeline.metadata.text_fields import read_text_fields

Reader = Callable[[Mapping[str, str]], Parameters]
"""From a file's text fields to what they say, empty where another tool wrote them."""

READERS: tuple[Reader, ...] = (
    read_swarmui,
    read_fooocus,
    read_invokeai,
    read_novelai,
    read_a1111,
    read_comfyui,
)
"""Those whose fields cannot be mistaken come first. A graph comes last: nodes that save pictures
with A1111's text beside it know best what their own graph did."""


class Embedded(NamedTuple):
    parameters: Parameters
    too_long: tuple[str, ...]
    """Names of the file's texts that were not read for their length."""


def read_metadata(file: BinaryIO) -> Parameters:
    """The parameters of `read_embedded`, for those whom what was left out does not concern."""
    return read_embedded(file).parameters


def read_embedded(file: BinaryIO) -> Embedded:
    """Parameters embedded in a PNG, JPEG or WebP file; empty where there are none.

    Reads headers only, decodes no pixel, and leaves `file` at its beginning. Whatever its bytes
    are, time and memory are bounded and nothing is raised but the file's own errors.
    """
    fields = read_text_fields(file)
    file.seek(0)
    return Embedded(interpret(fields.texts), fields.too_long)


def interpret(fields: Mapping[str, str]) -> Parameters:
    """What the first reader that knows these fields finds in them."""
    return next((found for reader in READERS if (found := reader(fields))), {})
