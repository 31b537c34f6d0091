"""What a running ComfyUI offers beside a node's arguments. Without one, each part does nothing.

ComfyUI is no package that could be installed for a type checker to look at.
"""

from pathlib import Path

from .sheet_order import STAGES

_STEPS_A_STAGE = 1000


def raise_if_interrupted() -> None:
    """Raise ComfyUI's own exception when its user has pressed Cancel."""
    try:
        from comfy.model_management import throw_exception_if_processing_interrupted  # type: ignore[import-not-found]
    except ImportError:
        return
    throw_exception_if_processing_interrupted()


def own_folders() -> list[Path]:
    """ComfyUI's folders for pictures: input, output and temp."""
    try:
        import folder_paths  # type: ignore[import-not-found]
    except ImportError:
        return []
    return [
        Path(folder_paths.get_input_directory()),
        Path(folder_paths.get_output_directory()),
        Path(folder_paths.get_temp_directory()),
    ]


class ProgressReport:
    """The node's progress bar; every report is an occasion to cancel."""

    def __init__(self) -> None:
        try:
            from comfy.utils import ProgressBar  # type: ignore[import-not-found]
        except ImportError:
            self._bar = None
        else:
            self._bar = ProgressBar(_STEPS_A_STAGE * len(STAGES))

    def __call__(self, stage: str, done: int, total: int) -> None:
        raise_if_interrupted()
        if self._bar is not None and stage in STAGES and total > 0:
            part = STAGES.index(stage) + min(done / total, 1)
            self._bar.update_absolute(round(part * _STEPS_A_STAGE))
