"""What runs in each of `seeing_processes`: `python -m worker.captioning.seeing_process FD...`.

The first descriptor is for control, of the others each is a process's own: the first half are
urgent.
"""

import contextlib
import ctypes
import gc
import io
import os
import signal
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from shared.errors import UnreadableImageError
from worker.captioning.captioner import Captioner, FloatArray, ModelUnavailable
from worker.captioning.cores import step_back
from worker.captioning.engine import Engine
from worker.captioning.model_registry import create_captioner
from worker.pipeline.pictures import open_picture

PR_SET_PDEATHSIG = 1
"""As in Linux's prctl.h."""


def main() -> None:
    # The worker is told to stop, and these only when its last batch is done.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    control, *ends = (Connection(int(descriptor)) for descriptor in sys.argv[1:])
    name, engine = control.recv()
    try:
        captioner = _loaded(name, engine)
    except ModelUnavailable as failure:
        control.send(failure.reason)
        return
    children = _forked(captioner, control, ends)
    for end in ends:
        end.close()
    control.send(captioner.memory_bytes)
    with contextlib.suppress(EOFError):
        control.recv()  # ends with the worker, or when it lets go of the model
    for child in children:
        os.kill(child, signal.SIGKILL)


def _loaded(name: str, engine: Engine) -> Captioner:
    captioner = create_captioner(name, 1, engine)
    captioner.release_texts()
    captioner.warm_up()
    return captioner


def _forked(captioner: Captioner, control: Connection, ends: Sequence[Connection]) -> list[int]:
    """Process ids; does not return in those processes."""
    gc.collect()
    gc.freeze()  # or counting references would copy every page that the processes share
    children = []
    for number, own in enumerate(ends):
        if child := os.fork():
            if number >= len(ends) // 2:
                step_back(child)
            children.append(child)
            continue
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for other in (control, *ends):
            if other is not own:
                other.close()
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                own.send(_see(captioner, own.recv()))
        os._exit(0)
    return children


def _see(
    captioner: Captioner, files: Sequence[Path | bytes]
) -> list[FloatArray | Exception] | Exception:
    found: list[FloatArray | Exception] = []
    for file in files:
        try:
            found.append(captioner.preprocess(_decoded(file, captioner.input_size)))
        except Exception as error:  # noqa: BLE001 # whatever a picture does, the others go on
            found.append(_portable(error))
    pixels = [each for each in found if not isinstance(each, Exception)]
    if not pixels:
        return found
    try:
        features = iter(captioner.encode_images(np.stack(pixels)))
    except Exception as error:  # noqa: BLE001 # the caller tries again, one by one
        return _portable(error)
    return [each if isinstance(each, Exception) else next(features) for each in found]


def _decoded(file: Path | bytes, side: int) -> Image.Image:
    opened: BinaryIO = file.open("rb") if isinstance(file, Path) else io.BytesIO(file)
    with opened:
        return open_picture(opened, (side, side), hold_lock=True)


def _portable(error: Exception) -> Exception:
    """One that can be sent: of foreign ones nobody knows."""
    if isinstance(error, UnreadableImageError | OSError):
        return error
    return RuntimeError(str(error) or repr(error))


if __name__ == "__main__":
    main()
