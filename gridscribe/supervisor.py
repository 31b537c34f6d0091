"""Child processes that are started in order, started again when they die, and stopped in order.

None of them outlives this process, even when it is killed with SIGKILL: see `ProcessGuard`.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from gridscribe.process_guard import ProcessGuard

Log = Callable[[str, str], None]
"""Called with the name of a child, or `stack`, and one line without its end; from any thread."""

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_STABLE_SECONDS = 30.0
_WATCH_INTERVAL = 0.1


class StackError(Exception):
    """The stack cannot start or go on; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Command:
    """How a child is started and stopped."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    folder: Path | None = None
    inherited_files: tuple[int, ...] = ()
    grace_seconds: float = 10.0
    """From SIGTERM to SIGKILL."""
    is_ready: Callable[[], bool] | None = None
    """Asked after the start until it is true; None where the next group need not wait."""
    ready_seconds: float = 10.0


class _Child:
    def __init__(self, command: Command, log: Log) -> None:
        self.command = command
        self.deaths = 0
        self.pause = _FIRST_PAUSE
        self.start_at = 0.0
        self._log = log
        self._reader: threading.Thread | None = None
        self.process = self._spawn()

    def _spawn(self) -> subprocess.Popen[str]:
        command = self.command
        self.started_at = time.monotonic()
        process = subprocess.Popen(  # noqa: S603  # the commands are our own, no shell is involved
            command.argv,
            env=dict(command.environment),
            cwd=command.folder,
            pass_fds=command.inherited_files,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        )
        assert process.stdout is not None  # noqa: S101  # tells the type checker what PIPE means
        self._reader = threading.Thread(target=self._forward, args=(process.stdout,), daemon=True)
        self._reader.start()
        return process

    def _forward(self, output: IO[str]) -> None:
        with output:
            for line in output:
                # A log that is closed must not keep the child waiting for its pipe to be read.
                with contextlib.suppress(OSError, ValueError):
                    self._log(self.command.name, line.rstrip("\n"))

    def note_death(self) -> None:
        """Sweep what the dead process left behind and choose when to start it again."""
        self.signal_group(signal.SIGKILL)
        self.deaths += 1
        if time.monotonic() - self.started_at > _STABLE_SECONDS:
            self.pause = _FIRST_PAUSE
        self.start_at = time.monotonic() + self.pause
        how = _exit_words(self.process.returncode)
        self._log("stack", f"{self.command.name} {how}; starting it again in {self.pause:g} s")
        self.pause = min(self.pause * 2, _LONGEST_PAUSE)

    def restart(self) -> None:
        try:
            self.process = self._spawn()
            self.start_at = 0.0
        except OSError as error:  # out of memory or processes: that may pass
            self.start_at = time.monotonic() + self.pause
            self._log("stack", f"{self.command.name} cannot be started: {error}")

    def signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: only zombies left
            os.killpg(self.process.pid, number)

    def finish_output(self) -> None:
        if self._reader:
            self._reader.join(timeout=1)


class Supervisor:
    """Keeps `groups` of commands running: a group starts once the one before it is ready, and
    stops, all members at once, before the one before it.
    """

    def __init__(self, groups: Sequence[Sequence[Command]], log: Log) -> None:
        self._groups = groups
        self._log = log
        self._children: list[list[_Child]] = []
        self._stopping = threading.Event()
        self._guard: ProcessGuard | None = None
        self._watcher: threading.Thread | None = None

    @property
    def pids(self) -> dict[str, int]:
        """The current process of each command by name; it changes when a child is restarted."""
        return {child.command.name: child.process.pid for child in self._all()}

    def deaths(self, name: str) -> int:
        """How often the command `name` ended by itself."""
        return sum(child.deaths for child in self._all() if child.command.name == name)

    def start(self) -> None:
        """Start everything; raises `StackError`, with nothing left running, when it cannot."""
        self._guard = ProcessGuard()
        try:
            for group in self._groups:
                self._children.append([])
                for command in group:
                    self._children[-1].append(_Child(command, self._log))
                    self._tell_guard()
                for child in self._children[-1]:
                    self._await_ready(child)
        except OSError as error:
            self.stop()
            raise StackError(f"cannot start {error.filename or 'a process'}: {error}") from error
        except BaseException:
            self.stop()
            raise
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """End all children in order and wait for them; a second call does nothing."""
        self._stopping.set()
        if self._watcher:
            self._watcher.join()
        for group in reversed(self._children):
            for child in group:
                child.process.terminate()
            for child in group:
                self._await_end(child)
        self._children.clear()
        if self._guard:
            self._guard.close()

    def _all(self) -> Iterable[_Child]:
        return [child for group in self._children for child in group]

    def _watch(self) -> None:
        while not self._stopping.wait(_WATCH_INTERVAL):
            for child in self._all():
                if child.process.poll() is None:
                    continue
                if not child.start_at:
                    child.note_death()
                elif time.monotonic() >= child.start_at:
                    child.restart()
                    self._tell_guard()

    def _tell_guard(self) -> None:
        if self._guard:
            self._guard.watch([child.process.pid for child in self._all()])

    def _await_ready(self, child: _Child) -> None:
        command = child.command
        if command.is_ready is None:
            return
        deadline = time.monotonic() + command.ready_seconds
        while not command.is_ready():
            if (code := child.process.poll()) is not None:
                child.finish_output()
                raise StackError(f"{command.name} {_exit_words(code)} while starting")
            if time.monotonic() > deadline:
                raise StackError(f"{command.name} not ready after {command.ready_seconds:g} s")
            time.sleep(0.01)

    def _await_end(self, child: _Child) -> None:
        try:
            child.process.wait(child.command.grace_seconds)
        except subprocess.TimeoutExpired:
            self._log("stack", f"{child.command.name} did not stop in time; killing it")
        child.signal_group(signal.SIGKILL)
        child.process.wait()
        child.finish_output()


def _exit_words(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"exited with code {code}"
