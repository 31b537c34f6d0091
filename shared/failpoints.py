"""Named points in the code at which a test ends, stops, delays or breaks a process.

Off unless `GRIDSCRIBE_FAILPOINTS` names some, as in `dispatch.before_publish=kill` or, comma
separated, `caption.decode@bad.png=kill,compose.before_store=full*2`: a name, for what in particular
(all, without `@`), an action, and how often in one process (always, without `*`).

| action | the process |
| --- | --- |
| `kill` | ends as by `kill -9` |
| `stop` | stands still until SIGCONT |
| `hang` | stays in this thread for good |
| `sleep:SECONDS` | goes on later |
| `full` | meets a full disk: `OSError` with ENOSPC |
"""

import errno
import os
import re
import signal
import threading
import time
from dataclasses import dataclass
from functools import cache

from shared.settings import get_settings

_SPELLING = re.compile(
    r"(?P<name>[a-z_.]+)(@(?P<detail>[^=]+))?=(?P<action>kill|stop|hang|full|sleep:(?P<seconds>[\d.]+))"
    r"(\*(?P<times>\d+))?"
)


@dataclass(slots=True)
class _Fault:
    name: str
    detail: str | None
    action: str
    seconds: float
    left: float

    def matches(self, name: str, detail: str) -> bool:
        return self.name == name and self.detail in (None, detail) and self.left > 0

    def strike(self) -> None:
        match self.action.partition(":")[0]:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "hang":
                threading.Event().wait()
            case "sleep":
                time.sleep(self.seconds)
            case "full":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def failpoint(name: str, detail: str = "") -> None:
    """Do what was asked for at this point, if anything was."""
    for fault in _faults():
        if fault.matches(name, detail):
            fault.left -= 1
            fault.strike()


@cache
def _faults() -> tuple[_Fault, ...]:
    return parse(get_settings().failpoints)


def parse(text: str) -> tuple[_Fault, ...]:
    """Raises `ValueError` for what is not spelled as above."""
    faults = []
    for part in filter(None, text.split(",")):
        match = _SPELLING.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"no failpoint: {part!r}; see shared/failpoints.py for the spelling")
        faults.append(
            _Fault(
                match["name"],
                match["detail"],
                match["action"],
                float(match["seconds"] or 0),
                float(match["times"] or "inf"),
            )
        )
    return tuple(faults)
