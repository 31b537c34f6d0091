"""Sees to it that child processes end with this one, even when it is killed with SIGKILL.

Each child must lead its own process group. A small shell, the guard, kills those groups when a pipe
from this process closes. Unlike PR_SET_PDEATHSIG that reaches grandchildren too (the pool of a
Celery worker), works on macOS, and does not depend on the thread that started a child.
"""

import contextlib
import subprocess
from collections.abc import Iterable

# The last line that came names every group.
_SCRIPT = """
while read -r line; do groups=$line; done
for group in $groups; do kill -KILL "-$group" 2>&-; done
"""


class ProcessGuard:
    """Starts on its making; `close` ends it."""

    def __init__(self) -> None:
        self._shell = subprocess.Popen(  # noqa: S603  # a constant script
            ["/bin/sh", "-c", _SCRIPT], stdin=subprocess.PIPE, text=True, process_group=0
        )

    def watch(self, groups: Iterable[int]) -> None:
        """Kill exactly these process groups once this process has gone."""
        self._tell(" ".join(map(str, groups)))

    def close(self) -> None:
        """Let all groups live and end the guard."""
        self._tell("")
        with contextlib.suppress(BrokenPipeError):
            assert self._shell.stdin is not None  # noqa: S101  # tells the type checker what PIPE means
            self._shell.stdin.close()
        self._shell.wait()

    def _tell(self, line: str) -> None:
        assert self._shell.stdin is not None  # noqa: S101  # as above
        with contextlib.suppress(BrokenPipeError):
            self._shell.stdin.write(f"{line}\n")
            self._shell.stdin.flush()
