"""The half of a model that sees, run by OpenVINO on the CPU: an extra, `gridscribe[openvino]`."""

import logging
import shutil
import sys
import tempfile
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from worker.captioning.calibration import Calibration
from worker.captioning.captioner import FloatArray
from worker.captioning.cores import step_back
from worker.captioning.engine import Precision
from worker.captioning.zero_shot import normalised

logger = logging.getLogger(__name__)

BEST_BATCH = 8
"""ViT-B-32 in bf16 on one core: 26.5 ms an image alone, 23.5 in fours, 22.5 in eights and 16s."""
FILE_NAME = "model.xml"


class OpenVinoTower:
    """As many batches at once as there are cores, one core each, as in TorchTower."""

    def __init__(
        self,
        seeing: nn.Module,
        side: int,
        *,
        cores: int,
        precision: Precision,
        calibration: Calibration | None = None,
    ) -> None:
        """`seeing`, in fp32 on the CPU, makes (N, D) of (N, 3, side, side).

        `int8` needs a calibration, which takes a minute the first time. Raises ImportError without
        the extra, what a calibration raises, and what OpenVINO raises for a model it cannot run.
        """
        openvino = load_openvino()
        core = openvino.Core()
        if precision == "int8":
            if calibration is None:
                raise ValueError("int8 needs a calibration")
            model = _in_int8(openvino, core, seeing, side, calibration)
        else:
            model = _converted(openvino, seeing, side)
        # Also for an int8 model, which keeps some layers. Emulated bf16 is slower than fp32.
        capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        real = "bf16" if precision != "float32" and "BF16" in capabilities else "f32"
        self.identity = f"openvino={openvino.__version__} {precision} {real}"
        self.streams = cores
        self.best_batch = BEST_BATCH
        options = {
            "INFERENCE_PRECISION_HINT": real,
            "NUM_STREAMS": cores,
            "INFERENCE_NUM_THREADS": cores,
            # A pinned thread waits for the decoder on its core while another core is free.
            "ENABLE_CPU_PINNING": False,
        }
        with ThreadPoolExecutor(1, initializer=step_back) as starter:  # of OpenVINO's own threads
            self._compiled = starter.submit(core.compile_model, model, "CPU", options).result()
        self.own_memory_bytes = sum(
            operation.get_data().nbytes
            for operation in model.get_ops()
            if operation.get_type_name() == "Constant"
        )
        self._thread = threading.local()

    def encode(self, pixels: FloatArray) -> FloatArray:
        """(N, 3, side, side) to L2-normalised (N, D)."""
        if not hasattr(self._thread, "request"):
            self._thread.request = self._compiled.create_infer_request()
        found = self._thread.request.infer({0: pixels}, share_inputs=True)
        return normalised(np.array(found[0], dtype=np.float32))


def load_openvino() -> Any:
    """Raises ImportError without the extra."""
    # Conversions are reported to its makers over the network, unless this package is missing.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment] # "missing", to Python
    import openvino  # type: ignore[import-untyped] # ships no types

    return openvino


def _converted(openvino: Any, seeing: nn.Module, side: int) -> Any:
    seeing = seeing.eval().requires_grad_(requires_grad=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # OpenVINO traces, and torch calls that deprecated
        model = openvino.convert_model(seeing, example_input=torch.zeros(2, 3, side, side))
    model.reshape([-1, 3, side, side])
    return model


def _in_int8(
    openvino: Any, core: Any, seeing: nn.Module, side: int, calibration: Calibration
) -> Any:
    """Read where it was kept before, else calibrated and kept."""
    folder = calibration.kept_in()
    if folder is not None and (folder / FILE_NAME).exists():
        return core.read_model(folder / FILE_NAME)
    examples = [each[np.newaxis] for each in calibration.examples()]
    import nncf  # type: ignore[import-untyped] # ships no types

    logger.info("calibrating int8 with %d pictures; this takes a minute", len(examples))
    model = nncf.quantize(
        _converted(openvino, seeing, side),
        nncf.Dataset(examples),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(examples),
    )
    if folder is not None:
        _keep(openvino, model, folder)
    return model


def _keep(openvino: Any, model: Any, folder: Path) -> None:
    """Whole or not at all; a failure costs the next start a minute and nothing else."""
    part: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=folder.parent, suffix=".part"))
        openvino.save_model(model, part / FILE_NAME, compress_to_fp16=False)
        part.rename(folder)  # fails where another worker was faster
    except (OSError, RuntimeError) as error:
        logger.warning("the int8 model is not kept in %s: %s", folder, error)
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)
