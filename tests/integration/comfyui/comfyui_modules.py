"""The modules of a running ComfyUI that the nodes look for: its progress bar, its Cancel button."""

import sys
from collections.abc import Callable
from types import ModuleType

import pytest


class InterruptProcessingException(Exception):  # noqa: N818  # ComfyUI's name
    """What ComfyUI raises in a node, and tells from a failure, when its user cancels."""


class RunningComfyUI:
    """`press_cancel` is asked, with the progress so far, whether the user presses Cancel."""

    def __init__(self) -> None:
        self.progress: list[float] = [0]
        """Parts of the whole, from 0 to 1."""
        self.press_cancel: Callable[[float], bool] = lambda _: False

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        running = self

        class ProgressBar:
            def __init__(self, total: int) -> None:
                self.total = total

            def update_absolute(self, value: int) -> None:
                running.progress.append(value / self.total)

        def throw_exception_if_processing_interrupted() -> None:
            if running.press_cancel(running.progress[-1]):
                raise InterruptProcessingException

        utils, management = ModuleType("comfy.utils"), ModuleType("comfy.model_management")
        vars(utils)["ProgressBar"] = ProgressBar
        vars(management)[throw_exception_if_processing_interrupted.__name__] = (
            throw_exception_if_processing_interrupted
        )
        for module in (ModuleType("comfy"), utils, management):
            monkeypatch.setitem(sys.modules, module.__name__, module)
