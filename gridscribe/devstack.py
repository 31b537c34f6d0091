"""The embedded stack: Valkey, dispatcher, workers and API as child processes on one machine.

Everything is started by command line, as in production; nothing of it is imported here.
"""

import ipaddress
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from gridscribe.supervisor import Command, Log, StackError, Supervisor
from gridscribe.valkey import EmbeddedValkey

_CODE_FOLDER = Path(__file__).resolve().parents[1]
_HOPELESS_DEATHS = 3
_LOCAL_RECEIVERS = {
    "GRIDSCRIBE_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
    "GRIDSCRIBE_ALLOWED_PORTS": "*",
}
"""Whoever may call a service on a loopback address reaches the others there anyway: webhooks and
images by URL may lead to them, unless the environment says otherwise."""


class DevStack:
    """A whole service at `base_url`, its data in `data_dir`, which survives a restart.

    With `redis_url` (default: `GRIDSCRIBE_REDIS_URL`, else `REDIS_URL`) that Redis is used instead
    of an embedded Valkey. `environment` is added to the children's. Port 0 takes a free one.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8000,
        data_dir: Path = Path("gridscribe-data"),
        *,
        log: Log,
        redis_url: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.data_dir = data_dir.resolve()
        self._log = log
        self._redis_url = (
            redis_url or os.environ.get("GRIDSCRIBE_REDIS_URL") or os.environ.get("REDIS_URL")
        )
        self._environment = environment or {}
        self._valkey: EmbeddedValkey | None = None
        self._supervisor: Supervisor | None = None

    @property
    def base_url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def redis_url(self) -> str:
        """Of the store in use; empty before the start."""
        return self._redis_url or (self._valkey.url if self._valkey else "")

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of `valkey`, `dispatcher`, `deliverer`, `caption`, `compose` and `api`."""
        return self._supervisor.pids if self._supervisor else {}

    def start(self) -> None:
        """Start every process; raises `StackError` when the port or the folder is in use, or when
        there is no server for the queue.
        """
        self.port = _claim_port(self.host, self.port)
        self.data_dir.mkdir(parents=True, exist_ok=True)
        groups = []
        if not self._redis_url:
            self._valkey = EmbeddedValkey(self.data_dir / "valkey")
            groups.append([self._valkey.command])
        environment = self._children_environment(self.redis_url)
        groups += [
            [
                self._command(environment, "dispatcher", "-m", "worker.dispatcher"),
                self._command(environment, "deliverer", "-m", "worker.deliverer"),
                self._worker(environment, "caption", "--pool=threads", "--concurrency=32"),
                self._worker(environment, "compose", "--pool=prefork", "--concurrency=2"),
            ],
            [self._api(environment)],
        ]
        self._supervisor = Supervisor(groups, self._log)
        try:
            self._supervisor.start()
        except BaseException:
            self.stop()
            raise

    def wait_ready(self, timeout: float = 120, give_up: Callable[[], bool] = lambda: False) -> bool:
        """Return true once `/readyz` answers 200, false once `give_up` does; raises `StackError`
        when neither does in `timeout` seconds, or when a process ends again and again.
        """
        deadline = time.monotonic() + timeout
        answer = "no answer"
        with httpx.Client(base_url=self.base_url, timeout=5, trust_env=False) as client:
            while time.monotonic() < deadline:
                if give_up():
                    return False
                self._check_hope()
                try:
                    response = client.get("/readyz")
                except httpx.TransportError:
                    pass
                else:
                    if response.is_success:
                        return True
                    answer = f"{response.status_code} {response.text[:500]}"
                time.sleep(0.1)
        raise StackError(f"the stack is not ready after {timeout:g} s; /readyz says: {answer}")

    def stop(self) -> None:
        """End all processes: the API, then the workers, then Valkey. A second call does nothing."""
        if self._supervisor:
            self._supervisor.stop()
        if self._valkey:
            self._valkey.close()
        self._supervisor = self._valkey = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _check_hope(self) -> None:
        if self._supervisor is None:
            raise StackError("the stack is not running; start it first")
        for name in self._supervisor.pids:
            if self._supervisor.deaths(name) >= _HOPELESS_DEATHS:
                raise StackError(f"{name} ends as soon as it starts; its own lines say why")

    def _children_environment(self, redis_url: str) -> dict[str, str]:
        return {
            **(_LOCAL_RECEIVERS if _is_loopback(self.host) else {}),
            "GRIDSCRIBE_PUBLIC_URL": self.base_url,
            **os.environ,
            "GRIDSCRIBE_REDIS_URL": redis_url,
            "GRIDSCRIBE_DATA_DIR": str(self.data_dir),
            # The children run this very code, whatever folder the user stands in.
            "PYTHONPATH": os.pathsep.join(
                filter(None, (str(_CODE_FOLDER), os.environ.get("PYTHONPATH")))
            ),
            # On a loopback address the machine's own users need no key; elsewhere all callers do.
            "GRIDSCRIBE_AUTH": os.environ.get("GRIDSCRIBE_AUTH")
            or ("open" if _is_loopback(self.host) else "required"),
            "PYTHONUNBUFFERED": "1",
            # Decoding threads share the cores with the model's: threads that spin while they wait
            # cost it four fifths of its speed.
            "OMP_WAIT_POLICY": "PASSIVE",
            # In a container the development stack may well run as root.
            "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
            **self._environment,
        }

    def _command(self, environment: Mapping[str, str], name: str, *arguments: str) -> Command:
        return Command(name, (sys.executable, *arguments), environment, folder=_CODE_FOLDER)

    def _worker(self, environment: Mapping[str, str], queue: str, *options: str) -> Command:
        return self._command(
            environment,
            queue,
            *("-m", "celery", "--quiet", "--app=worker.app", "worker", f"--queues={queue}"),
            *(f"--hostname={queue}@%h", "--without-gossip", "--without-mingle"),
            *("--loglevel=WARNING", *options),
        )

    def _api(self, environment: Mapping[str, str]) -> Command:
        return self._command(
            environment,
            "api",
            *("-m", "uvicorn", "--factory", "api.app:create_app"),
            *("--http", "api.http_protocol:BoundedProtocol", "--ws", "none", "--no-server-header"),
            *("--host", self.host, "--port", str(self.port)),
            *("--log-level", "warning", "--timeout-graceful-shutdown", "5"),
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _claim_port(host: str, port: int) -> int:
    """Make sure that `port` can be listened on; 0 is replaced by a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = error.strerror or str(error)
            raise StackError(
                f"cannot listen on {host} port {port}: {reason}; choose another with --port"
            ) from error
        return int(probe.getsockname()[1])
